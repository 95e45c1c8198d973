/* What is wrong with a message, told by field. */
#include "wire/message.h"

static bool is_told(const FieldFaults *faults, size_t from, size_t to, const char *field) {
    for (size_t i = from; i < to; i++)
        if (strcmp(faults->at[i].field, field) == 0) return true;
    return false;
}

void field_fault(FieldFaults *faults, const char *field, const char *code) {
    if (faults->count == FIELD_FAULTS_MAX || is_told(faults, faults->inside, faults->count, field)) return;
    faults->at[faults->count++] = (FieldFault){field, code};
}

bool field_fault_only(FieldFaults *faults, const char *field, const char *code) {
    faults->at[0] = (FieldFault){field, code};
    faults->count = 1;
    faults->ended = true;
    return false;
}

/* "street" of others[2] is "others[2].street"; where memory has ended, "others" must do. */
static const char *path_of(const FieldPart *part, const char *field, Arena *arena) {
    const char *dot = *field ? "." : "";
    const char *path = part->index == FIELD_SINGLE
                           ? arena_printf(arena, "%s%s%s", part->name, dot, field)
                           : arena_printf(arena, "%s[%zu]%s%s", part->name, part->index, dot, field);
    return path ? path : part->name;
}

/* Bytes that are not JSON are the fault of no field, wherever they stand. */
static bool has_place(const FieldFaults *faults, const FieldFault *fault) {
    return !faults->ended || strcmp(fault->code, "invalid_encoding") == 0;
}

void field_part_ends(FieldFaults *faults, const FieldPart *part, Arena *arena) {
    size_t from = faults->ended ? 0 : faults->inside, outer = faults->ended ? 0 : part->outer, kept = from;
    for (size_t i = from; i < faults->count; i++) {
        FieldFault fault = faults->at[i];
        if (has_place(faults, &fault)) fault.field = path_of(part, fault.field, arena);
        if (!is_told(faults, outer, kept, fault.field)) faults->at[kept++] = fault;
    }
    faults->count = kept;
    faults->inside = part->outer;
}

const char *field_fault_text(const char *code) {
    static const struct {
        const char *code, *text;
    } TEXTS[] = {
        {"invalid_json", "is not valid JSON"},
        {"too_deep", "is nested too deep"},
        {"too_large", "is too large"},
        {"unknown_field", "is not a field of this message"},
        {"duplicate_field", "must not be given twice"},
        {"wrong_type", "has the wrong type"},
        {"invalid_encoding", "is not valid Unicode text"},
        {"invalid_characters", "must not hold control characters"},
        {"required", "must not be empty"},
        {"too_long", "must not be longer than allowed"},
        {"invalid_email", "is not an e-mail address"},
        {"invalid_phone", "is not a phone number"},
        {"invalid_id", "is not a valid id"},
        {"out_of_range", "is out of range"},
        {"invalid_cursor", "is not a cursor of this list"},
        {"duplicate_email", "is already in use"},
        {"version_conflict", "was changed by someone else in the meantime"},
        {"not_found", "does not exist"},
        {"idempotency_conflict", "was used before for something else"},
        {"wrong_column_count", "has a wrong number of columns"},
    };
    for (size_t i = 0; i < COUNT(TEXTS); i++)
        if (strcmp(TEXTS[i].code, code) == 0) return TEXTS[i].text;
    return "is not valid";
}
