/* Catching up: from a client's position to the live stream. */
#pragma once
#include "gateway/stream/session.h"

/* Goes on with the subscriptions that catch up; no effect where there are none or a page is on its way. */
void resume_kick(Session *session);
void resume_stop(Session *session); /* it is gone, or its log: what is on its way for it is not waited for */
void resume_forget(Sessions *all);  /* gives back what was kept of the log for those who catch up */
