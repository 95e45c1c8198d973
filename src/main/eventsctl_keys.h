/* Keys and certificates in PEM. */
#pragma once
#include "base/buf.h"
#include "base/err.h"

/* A new P-256 private key (PKCS #8). */
bool keys_make_private(Buf *pem, Err *err);
/* A certificate for localhost, 127.0.0.1 and ::1, signed by its own key, good for 825 days. */
bool keys_make_certificate(Span private_pem, Buf *pem, Err *err);
/* Random letters and digits, NUL-terminated; size counts the NUL. */
void keys_random_text(char *to, size_t size);
