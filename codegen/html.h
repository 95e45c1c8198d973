/* Small pieces of HTML, escaped. */
#pragma once
#include "base/buf.h"

void html_text(Buf *out, const char *text);
void html_span(Buf *out, Span text);
/* <tag>text</tag> */
void html_element(Buf *out, const char *tag, const char *text);
/* <code>text</code>, with the breaks that long names need on narrow screens */
void html_code(Buf *out, const char *text);
/* Compact JSON, indented, in <pre>; it can be reached and scrolled by keyboard. */
void html_json(Buf *out, const char *label, Span json);
/* <table> with a caption for who cannot see it, and its head; columns have "|" between. Body rows follow. */
void html_table(Buf *out, const char *caption, const char *columns);
void html_table_end(Buf *out);
