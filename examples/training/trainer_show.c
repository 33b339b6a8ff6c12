// SPDX-License-Identifier: Apache-2.0
// What people and other programs see of a trainer.
#include <stdio.h>
#include <string.h>

#include "trainer.h"

// Progress is worth a little waiting, not more: nobody needs it to be right.
enum { PROGRESS_MS = 5000 };

void trainer_show(struct trainer *trainer, const char *event, json_t *line)
{
    json_t *whole = json_pack("{s:s, s:s}", "event", event, "trainer", trainer->options.name);
    json_object_update(whole, line);
    json_decref(line);
    char *text = json_dumps(whole, JSON_COMPACT | JSON_REAL_PRECISION(6));
    if (text) {
        puts(text);
        if (trainer->options.progress && trainer->fleet) {
            struct weir_publish_options options;
            weir_publish_options_init(&options);
            options.timeout_ms = PROGRESS_MS;
            (void)!weir_fleet_publish_async(trainer->fleet, trainer->options.progress, text, strlen(text), &options,
                                            NULL, NULL, NULL);
        }
    }
    free(text);
    json_decref(whole);
}
