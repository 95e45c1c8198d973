/* What a release has promised against what the .proto files say now. */
#pragma once
#include "model.h"

typedef Google__Protobuf__FileDescriptorSet FileSet;

/* What the present contract breaks: one line per fault, "ProspectCreated.email: what it was and is
 * [name of the rule: what it says]". */
typedef struct Findings {
    Buf lines;
    size_t count;
} Findings;

typedef enum Rule {
    RULE_MESSAGE_REMOVED,
    RULE_FIELD_REMOVED,
    RULE_FIELD_RENUMBERED,
    RULE_FIELD_RENAMED,
    RULE_FIELD_TYPE,
    RULE_FIELD_CARDINALITY,
    RULE_JSON_REMOVED,
    RULE_ENUM_REMOVED,
    RULE_ENUM_VALUE,
    RULE_SERVICE_REMOVED,
    RULE_RPC_REMOVED,
    RULE_RPC_TYPE,
    RULE_NEW_REQUIRED,
    RULE_TIGHTENED,
    RULE_MEANING,
    RULE_VERSION_BACK,
    RULES
} Rule;
void finding(Findings *findings, Rule rule, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* compare.c: all of it. */
void compat_compare(const Contract *released, const Contract *now, Findings *findings);
/* services.c: what the model has no use for. */
void compat_services(const FileSet *released, const FileSet *now, Findings *findings);
/* meaning.c: options of a message and of a field that is still there. */
void compat_message_options(const Message *released, const Message *now, Findings *findings);
void compat_field_options(const Message *released, const Message *now, const Field *was, const Field *is,
                          Findings *findings);
