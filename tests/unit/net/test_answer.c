#include "net/answer.h"

#include "kit/test.h"

/* Whatever could end a field must not get into one, wherever in the value it stands. */
static void clean_fields(void) {
    static const struct {
        char c;
        bool clean;
    } CASES[] = {{'\r', false}, {'\n', false}, {0, false},         {'\t', true},
                 {' ', true},   {0x0b, true},  {(char)0xe4, true}, {0x7f, true}};
    char value[20];
    for (size_t i = 0; i < COUNT(CASES); i++)
        for (size_t len = 0; len <= sizeof value; len++)
            for (size_t at = 0; at < len; at++) {
                memset(value, 'v', sizeof value);
                value[at] = CASES[i].c;
                CHECK(answer_field_is_clean(&(HttpField){"x-test", {value, len}}) == CASES[i].clean);
            }
    CHECK(answer_field_is_clean(&(HttpField){"x-test", SPAN_NONE}));
}

static void numbers(void) {
    static const struct {
        uint64_t number;
        const char *text;
    } CASES[] = {{0, "0"}, {7, "7"}, {10, "10"}, {200, "200"}, {UINT64_MAX, "18446744073709551615"}};
    char digits[NUMBER_TEXT];
    for (size_t i = 0; i < COUNT(CASES); i++)
        CHECK_SPAN(((Span){digits, answer_number(digits, CASES[i].number)}), CASES[i].text);
}

SUITE("answer", TEST(clean_fields), TEST(numbers));
