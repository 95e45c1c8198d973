/* The calls of gRPC: a table of all, a perfect hash from their paths to it, and a list of those that need a
 * function. The commands need none: their requests are alike, and the table says where in them the command
 * stands. */
#include "emit.h"
#include "names.h"
#include "wire/rpc/rpc_hash.h"

enum { SEEDS_MAX = 1 << 20 };

typedef void EachMethod(const Contract *c, const Service *s, const Method *m, void *user);

static void each_method(const Contract *c, EachMethod *visit, void *user) {
    for (size_t i = 0; i < c->service_count; i++)
        for (size_t k = 0; k < c->services[i].method_count; k++)
            visit(c, &c->services[i], &c->services[i].methods[k], user);
}

static const char *path_of(const Contract *c, const Service *s, const Method *m) {
    return must(arena_printf(c->arena, "/%s/%s", s->full_name, m->name));
}

/* --- contract_services.h --- */

static void emit_call(const Contract *c, const Service *s, const Method *m, void *user) {
    (void)c, (void)s;
    if (!m->command) buf_printf(user, " \\\n    X(%s)", m->symbol);
}

void emit_services_header(const Contract *c, Buf *out) {
    buf_text(out,
             "/* Made by protoc-gen-events. X is called with the name of each call that is no command. */\n"
             "#pragma once\n\n#define CONTRACT_CALLS(X)");
    each_method(c, emit_call, out);
    buf_text(out, "\n\nenum {\n#define X(name) CALL_##name,\n    CONTRACT_CALLS(X)\n#undef X\n"
                  "        CALL_COUNT\n};\n");
}

/* --- contract_services.c --- */

static void emit_command(const Contract *c, const Method *m, Buf *out) {
    const char *type = name_c_type(c->arena, m->input);
    buf_printf(out, "     .command = &%s__descriptor,\n     .command_at = offsetof(%s, command),\n",
               m->command->message->c_prefix, type);
    buf_printf(out, "     .wait_at = offsetof(%s, wait),\n     .call = -1,\n", type);
}

static void emit_method(const Contract *c, const Service *s, const Method *m, void *user) {
    Buf *out = user;
    buf_printf(out, "    {.path = \"%s\",\n     .service = \"%s\",\n     .name = \"%s\",\n", path_of(c, s, m),
               s->full_name, m->name);
    buf_printf(out, "     .request = &%s__descriptor,\n     .response = &%s__descriptor,\n",
               name_c_prefix(c->arena, m->input), name_c_prefix(c->arena, m->output));
    if (m->command)
        emit_command(c, m, out);
    else
        buf_printf(out, "     .call = CALL_%s,\n", m->symbol);
    if (!s->foreign) buf_printf(out, "     .scope = \"%s\",\n", m->rules->scope);
    if (m->client_streaming) buf_text(out, "     .client_streaming = true,\n");
    if (m->server_streaming) buf_text(out, "     .server_streaming = true,\n");
    if (m->no_side_effects) buf_text(out, "     .no_side_effects = true,\n");
    buf_text(out, "    },\n");
}

typedef struct Slots {
    uint64_t seed;
    size_t size;
    int *of; /* the method's place in the table; -1: free */
    int next;
    bool collides;
} Slots;

static void place(const Contract *c, const Service *s, const Method *m, void *user) {
    Slots *slots = user;
    int *slot = &slots->of[rpc_hash(span_of(path_of(c, s, m)), slots->seed) & (slots->size - 1)];
    slots->collides |= *slot >= 0;
    *slot = slots->next++;
}

static bool fits(const Contract *c, Slots *slots) {
    for (size_t i = 0; i < slots->size; i++) slots->of[i] = -1;
    slots->next = 0;
    slots->collides = false;
    each_method(c, place, slots);
    return !slots->collides;
}

static void count_method(const Contract *c, const Service *s, const Method *m, void *user) {
    (void)c, (void)s, (void)m;
    ++*(size_t *)user;
}

static Slots find_slots(const Contract *c, size_t count) {
    Slots slots = {.size = 16};
    while (slots.size < count * 4) slots.size *= 2;
    for (;; slots.size *= 2) {
        slots.of = must(arena_alloc(c->arena, slots.size * sizeof *slots.of));
        for (slots.seed = 0; slots.seed < SEEDS_MAX / slots.size; slots.seed++)
            if (fits(c, &slots)) return slots;
    }
}

static void emit_lookup(const Contract *c, size_t count, Buf *out) {
    Slots slots = find_slots(c, count);
    buf_printf(out, "static const RpcMethod *const SLOTS[%zu] = {\n", slots.size);
    for (size_t i = 0; i < slots.size; i++)
        if (slots.of[i] >= 0) buf_printf(out, "    [%zu] = &METHODS[%d],\n", i, slots.of[i]);
    buf_printf(out,
               "};\n\nconst RpcMethod *rpc_method(Span path) {\n"
               "    const RpcMethod *found = SLOTS[rpc_hash(path, %llu) & %zu];\n"
               "    return found && span_is(path, found->path) ? found : NULL;\n}\n\n",
               (unsigned long long)slots.seed, slots.size - 1);
}

static void emit_includes(const Contract *c, Buf *out) {
    buf_text(out,
             "/* Made by protoc-gen-events. */\n#include \"events/v1/contract_services.h\"\n"
             "#include \"wire/rpc/rpc_hash.h\"\n#include \"wire/rpc/rpc_method.h\"\n#include <stddef.h>\n");
    for (size_t i = 0; i < c->request->n_file_to_generate; i++) {
        const char *file = c->request->file_to_generate[i];
        buf_printf(out, "#include \"%.*s.pb-c.h\"\n", (int)(strlen(file) - strlen(".proto")), file);
    }
}

void emit_services(const Contract *c, Buf *out) {
    size_t count = 0;
    each_method(c, count_method, &count);
    emit_includes(c, out);
    buf_text(out, "\nstatic const RpcMethod METHODS[] = {\n");
    each_method(c, emit_method, out);
    buf_text(out, "};\n\nstatic const char *const SERVICES[] = {\n");
    for (size_t i = 0; i < c->service_count; i++) buf_printf(out, "    \"%s\",\n", c->services[i].full_name);
    buf_text(out, "};\n\n");
    emit_lookup(c, count, out);
    buf_printf(
        out,
        "const RpcMethod *rpc_methods(size_t *count) {\n    *count = %zu;\n    return METHODS;\n}\n\n"
        "const char *const *rpc_services(size_t *count) {\n    *count = %zu;\n    return SERVICES;\n}\n",
        count, c->service_count);
}
