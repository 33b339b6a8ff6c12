// SPDX-License-Identifier: Apache-2.0
// The dashboard's files (ui/), as script/embed-ui makes a source of them when the program is built.
#pragma once

#include <stddef.h>

struct ui_asset {
    const char *path; // behind "/ui/": "views/groups.js"
    const char *content_type;
    const unsigned char *data;
    size_t size;
};

extern const struct ui_asset ui_assets[];
extern const size_t ui_asset_count;
