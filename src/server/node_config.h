// SPDX-License-Identifier: Apache-2.0
// What the options mean to each part of a node: defaults of the part,
// overridden by what the command line may say. Seeds, addresses and loggers are
// the node's to fill in. Strings are borrowed from the options.
#pragma once

#include "broker/broker.h"
#include "broker/websocket.h"
#include "env/crypto.h"
#include "server/options.h"
#include "server/websocket_config.h"
#include "shard/shard.h"
#include "stan/stan.h"

void node_config_broker(const struct options *options, struct broker_options *ret_broker);
// Part of it, and what a reload of certificates brings.
void node_config_tls(const struct tls_options *options, struct broker_tls *ret_tls);
// All but `inner`. The origins are borrowed from the config.
void node_config_websocket(const struct websocket_config *config, const struct crypto *crypto,
                           const struct logger *logger, struct websocket_options *ret_websocket);
// Store and engine.
void node_config_shard(const struct options *options, struct shard_options *ret_shard);
void node_config_stan(const struct options *options, struct stan_options *ret_stan);
