/* The rules by name, and how a break of one is told. */
#include "compat.h"

#include <stdarg.h>
#include <stdio.h>

static const struct {
    const char *name, *says;
} TEXTS[RULES] = {
    [RULE_MESSAGE_REMOVED] = {"message-removed", "a message of a release stays, under its name"},
    [RULE_FIELD_REMOVED] = {"field-removed", "a field of a release stays; stop using it instead"},
    [RULE_FIELD_RENUMBERED] = {"field-renumbered", "a field keeps its number: stored bytes know it by that"},
    [RULE_FIELD_RENAMED] = {"field-renamed", "a field keeps its name: JSON knows it by that"},
    [RULE_FIELD_TYPE] = {"field-type", "a field keeps its type, in bytes and in JSON"},
    [RULE_FIELD_CARDINALITY] = {"field-cardinality", "a field stays single, repeated or part of its oneof"},
    [RULE_JSON_REMOVED] = {"json-removed", "what has a JSON form keeps it"},
    [RULE_ENUM_REMOVED] = {"enum-removed", "an enum of a release stays, under its name"},
    [RULE_ENUM_VALUE] = {"enum-value", "a value of an enum keeps its name and number"},
    [RULE_SERVICE_REMOVED] = {"service-removed", "a service of a release stays, under its name"},
    [RULE_RPC_REMOVED] = {"rpc-removed", "a call of a release stays, under its name"},
    [RULE_RPC_TYPE] = {"rpc-type", "a call keeps its messages and its streams"},
    [RULE_NEW_REQUIRED] = {"new-required", "clients of the release do not send it, so it must be optional"},
    [RULE_TIGHTENED] = {"tightened", "what clients of the release may send stays valid"},
    [RULE_MEANING] = {"meaning", "another meaning needs a higher schema_version of its message"},
    [RULE_VERSION_BACK] = {"version-back", "schema_version never goes back"},
};

void finding(Findings *findings, Rule rule, const char *format, ...) {
    char what[400];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    buf_printf(&findings->lines, "%s [%s: %s]\n", what, TEXTS[rule].name, TEXTS[rule].says);
    findings->count++;
}
