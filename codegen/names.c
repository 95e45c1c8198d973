#include "names.h"

#include "base/buf.h"
#include <ctype.h>

static char *finish(Arena *a, const Buf *text) {
    return must(arena_copy(a, buf_view(text)));
}

/* protoc-c: an underscore before each capital that follows something else than a capital. */
char *name_snake(Arena *a, const char *camel) {
    AUTO_BUF text = {0};
    for (size_t i = 0; camel[i]; i++) {
        bool capital = isupper((unsigned char)camel[i]);
        if (capital && i && !isupper((unsigned char)camel[i - 1])) buf_byte(&text, '_');
        buf_byte(&text, (char)tolower((unsigned char)camel[i]));
    }
    return finish(a, &text);
}

/* Each part of a full name through `part`, with `separator` between. */
static char *joined(Arena *a, const char *full, const char *separator, char *(*part)(Arena *, const char *)) {
    AUTO_BUF text = {0};
    Span rest = span_of(full + (*full == '.'));
    while (rest.at) {
        char *one = must(arena_copy(a, span_split(rest, '.', &rest)));
        if (text.len) buf_text(&text, separator);
        buf_text(&text, part(a, one));
    }
    return finish(a, &text);
}

/* protoc-c: snake_case to CamelCase, part by part. */
static char *camel(Arena *a, const char *name) {
    AUTO_BUF text = {0};
    bool up = true;
    for (; *name; name++) {
        if (*name == '_')
            up = true;
        else
            buf_byte(&text, up ? (char)toupper((unsigned char)*name) : *name), up = false;
    }
    return finish(a, &text);
}

char *name_c_type(Arena *a, const char *full) {
    return joined(a, full, "__", camel);
}
char *name_c_prefix(Arena *a, const char *full) {
    return joined(a, full, "__", name_snake);
}
char *name_symbol(Arena *a, const char *full) {
    return joined(a, full, "_", name_snake);
}

/* protoc-c: the words of C++ get an underscore behind them. */
const char *name_c_field(Arena *a, const char *name) {
    static const char WORDS[] =
        " and and_eq asm auto bitand bitor bool break case catch char class compl const const_cast continue "
        "default delete do double dynamic_cast else enum explicit extern false float for friend goto if "
        "inline "
        "int long mutable namespace new not not_eq operator or or_eq private protected public register "
        "reinterpret_cast return short signed sizeof static static_cast struct switch template this throw "
        "true "
        "try typedef typeid typename union unsigned using virtual void volatile wchar_t while xor xor_eq ";
    return strstr(WORDS, must(arena_printf(a, " %s ", name))) ? must(arena_printf(a, "%s_", name)) : name;
}

char *name_label(Arena *a, const char *proto_name) {
    char *label = must(arena_copy(a, span_of(proto_name)));
    label[0] = (char)toupper((unsigned char)label[0]);
    for (char *c = label; *c; c++)
        if (*c == '_') *c = ' ';
    return label;
}

char *name_enum_value(Arena *a, const char *type, const char *value) {
    const char *prefix = name_snake(a, type);
    char *lower = must(arena_copy(a, span_of(value)));
    for (char *c = lower; *c; c++) *c = (char)tolower((unsigned char)*c);
    size_t len = strlen(prefix);
    return strncmp(lower, prefix, len) == 0 && lower[len] == '_' ? lower + len + 1 : lower;
}
