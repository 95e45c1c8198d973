/* Where a broker is: amqp[s]://user:password@host:port/queue?dead=DATABASE&ca=FILE&broker=NAME. Instead
 * of the queue an exchange, or TOPIC/subscriptions/NAME on Service Bus. User, password and what
 * is behind the question mark may be percent-encoded. */
#pragma once
#include "base/err.h"
#include "base/span.h"

typedef struct AmqpUrl {
    bool tls;
    bool service_bus; /* by the host's name, or broker=servicebus; else it is RabbitMQ, or broker=rabbitmq */
    char user[128], password[256];
    char host[256], port[8];
    char queue[128];        /* or the exchange, or the topic */
    char subscription[128]; /* of the topic; empty: none */
    char dead[600];         /* url of the database where dead letters lie; empty: a file of the data folder */
    char ca[512]; /* PEM file of who may have signed the broker's certificate; empty: the system's */
} AmqpUrl;

bool amqp_url_is(const char *url);
/* Texts of faults hold nothing of the url. */
bool amqp_url_parse(const char *url, AmqpUrl *ret, Err *err);
