/* Dead letters of the command queue: "command/NUMBER". Where the queue is in tables there are none to list
 * here. */
#pragma once
#include "main/eventsctl.h"

bool dead_commands_list(Ctl *ctl, Err *err);
bool dead_command_show(Ctl *ctl, int64_t number, Err *err);
bool dead_command_requeue(Ctl *ctl, int64_t number, Err *err);
bool dead_command_discard(Ctl *ctl, int64_t number, Err *err);
