/* What a client would like and what it has already: the lists of Accept, Accept-Encoding, If-Match and
 * If-None-Match (RFC 9110 sections 12.4 and 13.1). Pure. */
#pragma once
#include "base/span.h"

enum { QUALITY_MOST = 1000 }; /* weights in thousandths */

/* Which of `offers` (ended by NULL, the preferred one first) the client likes best; NULL: none of them. Of
 * equal weights the one that it names more precisely wins, then the one that it names first. An absent or
 * empty list takes the first offer. Parameters of a media range other than q are not looked at: our types
 * have none. */
const char *accept_choose(Span accept, const char *const *offers);
/* The weight of one media type. */
unsigned accept_quality(Span accept, Span media_type);

typedef enum Coding { CODING_IDENTITY, CODING_GZIP, CODING_BROTLI, CODINGS } Coding;
enum { CODINGS_ALL = (1 << CODINGS) - 1 };

/* The coding to send, of the set `available` (bits of 1 << Coding): the one with the highest weight, of equal
 * ones the smallest body (brotli, gzip, identity). Who says nothing gets identity. False: nothing of it is
 * acceptable. */
bool coding_choose(Span accept_encoding, unsigned available, Coding *ret);
const char *coding_name(Coding coding); /* "gzip", "br"; NULL for identity */

/* Is `tag` (quoted, strong) in the list of entity tags, or the list "*"? Weakly: W/"1" and "1" are alike
 * (If-None-Match); strongly: only "1" is "1" (If-Match). */
bool tag_listed(Span list, Span tag);
bool tag_listed_strongly(Span list, Span tag);
