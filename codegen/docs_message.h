/* Parts of the page of documentation: one message, told by its fields and an example. */
#pragma once
#include "model.h"

/* The table of fields: name, type, rules, meaning. frames: by proto name and number, without rules. */
void docs_fields(const Message *m, bool frames, Buf *out);
/* A command or event as a section of the page, with whom it causes or is caused by. */
void docs_message(const Contract *c, const Message *m, Buf *out);
/* A link to a message's section. */
void docs_link(const char *name, Buf *out);
