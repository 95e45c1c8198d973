#include "gateway/failure_log.h"

#include "base/log.h"

enum { FAILURES_PER_SECOND = 20 };

void failure_log(Worker *worker, const char *route, const char *correlation_id, const Err *err) {
    FailureLog *log = &worker->failures;
    int64_t now = loop_now_us(worker->loop);
    if (now - log->second_us >= 1000000) {
        if (log->unsaid) log_warn("more requests failed", LOG_INT("requests", log->unsaid));
        *log = (FailureLog){.second_us = now};
    }
    if (log->said == FAILURES_PER_SECOND) {
        log->unsaid++;
        return;
    }
    log->said++;
    log_warn("request failed", LOG_TEXT("route", route), LOG_ID("correlationId", span_of(correlation_id)),
             LOG_ERR(err));
}
