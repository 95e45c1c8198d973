#include "queue/amqp_form.h"

#include <proton/condition.h>
#include <proton/delivery.h>
#include <proton/disposition.h>
#include <proton/link.h>
#include <proton/terminus.h>
#include <stdio.h>

#define SESSION_FILTER "com.microsoft:session-filter"
static const uint64_t SESSION_FILTER_CODE = UINT64_C(0x137000000C);

static pn_bytes_t bytes_of(const char *text) {
    return pn_bytes(strlen(text), text);
}

static void set_address(const AmqpUrl *url, unsigned lane, pn_terminus_t *terminus) {
    char address[160];
    if (url->service_bus)
        snprintf(address, sizeof address, "%s", url->queue);
    else
        snprintf(address, sizeof address, "/amq/queue/%s.%02u", url->queue, lane);
    pn_terminus_set_address(terminus, address);
    if (!url->service_bus) pn_terminus_set_durability(terminus, PN_DELIVERIES);
}

void amqp_form_sender(const AmqpUrl *url, unsigned lane, pn_link_t *link) {
    set_address(url, lane, pn_link_target(link));
    pn_link_set_snd_settle_mode(link, PN_SND_UNSETTLED);
}

/* A map of one member, whose value is described by its code. */
static void ask_for_session(pn_terminus_t *source, unsigned lane) {
    char session[AMQP_SESSION];
    pn_data_t *filter = pn_terminus_filter(source);
    amqp_session(lane, session);
    pn_data_put_map(filter);
    pn_data_enter(filter);
    pn_data_put_symbol(filter, bytes_of(SESSION_FILTER));
    pn_data_put_described(filter);
    pn_data_enter(filter);
    pn_data_put_ulong(filter, SESSION_FILTER_CODE);
    pn_data_put_string(filter, bytes_of(session));
    pn_data_exit(filter);
    pn_data_exit(filter);
}

void amqp_form_receiver(const AmqpUrl *url, unsigned lane, pn_link_t *link) {
    set_address(url, lane, pn_link_source(link));
    pn_link_set_snd_settle_mode(link, PN_SND_UNSETTLED);
    pn_link_set_rcv_settle_mode(link, url->service_bus ? PN_RCV_SECOND : PN_RCV_FIRST);
    if (url->service_bus) ask_for_session(pn_link_source(link), lane);
}

static bool is_session(pn_data_t *value, unsigned lane) {
    char session[AMQP_SESSION];
    amqp_session(lane, session);
    if (pn_data_type(value) == PN_DESCRIBED) {
        pn_data_enter(value);
        if (!pn_data_next(value) || !pn_data_next(value)) return false; /* the code, then what it describes */
    }
    if (pn_data_type(value) != PN_STRING) return false;
    pn_bytes_t got = pn_data_get_string(value);
    return span_is(span_bytes(got.start, got.size), session);
}

bool amqp_form_granted(const AmqpUrl *url, unsigned lane, pn_link_t *link) {
    if (!url->service_bus) return true;
    pn_data_t *filter = pn_terminus_filter(pn_link_remote_source(link));
    pn_data_rewind(filter);
    if (!pn_data_next(filter) || pn_data_type(filter) != PN_MAP || !pn_data_enter(filter)) return false;
    while (pn_data_next(filter)) {
        pn_bytes_t name = pn_data_type(filter) == PN_SYMBOL ? pn_data_get_symbol(filter) : pn_bytes_null;
        if (!pn_data_next(filter)) return false;
        if (span_is(span_bytes(name.start, name.size), SESSION_FILTER)) return is_session(filter, lane);
    }
    return false;
}

int amqp_form_tries(const AmqpUrl *url, const AmqpCommand *command) {
    return url->service_bus ? (int)command->tries : 0; /* RabbitMQ 3.10 always says 0 */
}

static void give_reason(pn_disposition_t *disposition, const char *reason) {
    pn_condition_t *condition = pn_disposition_condition(disposition);
    pn_condition_set_name(condition, "com.microsoft:dead-letter");
    pn_condition_set_description(condition, reason);
    pn_data_t *info = pn_condition_info(condition);
    pn_data_put_map(info);
    pn_data_enter(info);
    pn_data_put_symbol(info, bytes_of("DeadLetterReason"));
    pn_data_put_string(info, bytes_of(reason));
    pn_data_exit(info);
}

bool amqp_form_settle(const AmqpUrl *url, pn_delivery_t *delivery, AmqpSettle how, const char *reason) {
    static const uint64_t OUTCOMES[] = {[AMQP_ACCEPT] = PN_ACCEPTED,
                                        [AMQP_RELEASE] = PN_RELEASED,
                                        [AMQP_MODIFY] = PN_MODIFIED,
                                        [AMQP_REJECT] = PN_REJECTED};
    pn_disposition_t *disposition = pn_delivery_local(delivery);
    if (how == AMQP_MODIFY && !url->service_bus) how = AMQP_RELEASE;
    if (how == AMQP_MODIFY) pn_disposition_set_failed(disposition, true);
    if (how == AMQP_REJECT) give_reason(disposition, reason);
    pn_delivery_update(delivery, OUTCOMES[how]);
    if (url->service_bus) return false;
    pn_delivery_settle(delivery);
    return true;
}
