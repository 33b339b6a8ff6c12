// SPDX-License-Identifier: Apache-2.0
// tidy: prefix registry
// What registry.c and registry_image.c share.
#pragma once

#include "stan/registry.h"

// --- registry.c: a client's place in the registry
// With this number, which nobody has; without its names.
struct stan_client *registry_client_new(struct registry *registry, uint32_t number,
                                        const struct registry_request *request);
// Out of every place.
void registry_client_free(struct registry *registry, struct stan_client *client);
// Recovery: of two that have the same names the older one has lost its end to damage of the log. False: that is this one.
bool registry_client_supersede(struct registry *registry, const struct registry_request *request, uint32_t number);
// It is found by its names from now on. ERR_EXISTS, ERR_LIMIT: as before.
int registry_client_publish_names(struct registry *registry, struct stan_client *client);

// --- registry_image.c
// The body of a client's record; see registry.h. Encoding writes so many bytes, decoding borrows.
size_t registry_body_size(const struct registry_request *request);
void registry_body_encode(char *to, const struct registry_request *request);
int registry_body_decode(struct bytes body, struct registry_request *ret);
// As struct shard_machine asks them: restore, checkpoint_begin, checkpoint_next.
int registry_image_restore(struct shard_machine *machine, const struct record *image);
void registry_image_begin(struct shard_machine *machine, bool base);
int registry_image_next(struct shard_machine *machine, uint64_t index, struct buffer *out, size_t max_bytes);
