// SPDX-License-Identifier: Apache-2.0
// Which server this program is taken for (server/options.h): by the name it is called with. What differs between them on the command
// line: name, version line, help.
#pragma once

#include "server/options.h"

// The nats-streaming-server release whose flags, subjects and messages are met.
#define PERSONA_STREAMING_VERSION "0.25.6"

// `argv0` as the system gives it.
enum options_persona persona_find(const char *argv0);
// "weir", "nats-server", "nats-streaming-server"; static.
const char *persona_name(enum options_persona persona);
// The line of --version, in the form that tools parse, on standard output.
void persona_print_version(enum options_persona persona);
// The text of --help, on standard output.
void persona_print_help(enum options_persona persona);
