// SPDX-License-Identifier: Apache-2.0
// The admin API over NATS: requests to `$WEIR.API.V1.>` in the account `$G`, answered to their reply subjects. One without a reply subject is
// not carried out.
#pragma once

#include "admin/admin_api.h"

#define ADMIN_SUBJECT_PREFIX "$WEIR.API.V1."

struct admin_service;

struct admin_service_options {
    struct broker *broker; // borrowed for life, as the next
    struct admin_api *api;
    const struct logger *logger;
};

struct admin_service *admin_service_new(const struct admin_service_options *options);
// Takes nothing any more; what is under way is still answered. Before shard_quiesce().
void admin_service_stop(struct admin_service *service);
// Behind admin_api_free().
void admin_service_free(struct admin_service *service);
