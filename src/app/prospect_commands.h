/* The handlers of the prospect's commands. */
#pragma once
#include "app/command.h"

bool on_create_prospect(Command *c, Err *err);
bool on_update_prospect(Command *c, Err *err);
