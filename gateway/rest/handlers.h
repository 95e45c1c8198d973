/* The handlers that the table in routes.c names. Each answers its request exactly once, now or later. */
#pragma once
#include "gateway/rest/request.h"

/* login.c */
void rest_login(Request *r);
void rest_refresh(Request *r);
void rest_ticket(Request *r);
void rest_logout(Request *r);
/* commands.c */
void rest_create_prospect(Request *r);
void rest_update_prospect(Request *r);
void rest_command(Request *r);
/* prospects.c */
void rest_prospects(Request *r);
void rest_prospect(Request *r);
void rest_outcome(Request *r);
/* events.c */
void rest_history(Request *r);
void rest_events(Request *r);
/* meta.c */
void rest_event_types(Request *r);
void rest_jwks(Request *r);
void rest_live(Request *r);
void rest_ready(Request *r);
void rest_static(Request *r);
/* status.c */
void rest_status(Request *r);
void rest_metrics(Request *r);
/* documents.c */
void rest_document(Request *r);
/* conformance.c: only with EVENTS_TEST_ENDPOINTS */
void test_echo(Request *r);
void test_bytes(Request *r);
void test_ws_echo(Request *r);
/* ../stream/sse.c */
void rest_event_stream(Request *r);
/* ../stream/upgrade.c */
void ws_events(Request *r);
