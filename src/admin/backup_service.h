// SPDX-License-Identifier: Apache-2.0
// Backups of a running server, asked for over NATS in the account `$G`:
//
//   $WEIR.API.V1.BACKUP       request: {"channel":"jobs","keep_going":true}, both optional, or nothing.  Answer: "B" and the number of the backup
//   $WEIR.API.V1.BACKUP.NEXT  request: that number.    Answer: "D" and the next bytes of the file, perhaps none yet; "Z" and the last ones
//   an answer that is an error: "E" and a text
//
// Without a channel it is of everything; with keep_going messages that cannot be read are passed over and counted, without it they end it.
// Answers are cut at any byte, so that each fits into a message. Several requests for bytes may be under way; they are answered in order.
// One backup at a time, for the connection that asked for it; a new one of the same connection, or of anybody when that one has
// gone, takes its place; one that nobody asks for any more is forgotten. Who may ask: admin/admin_access.h.
#pragma once

#include "broker/broker.h"
#include "shard/shard.h"
#include "stan/stan.h"

struct backup_service;

#define BACKUP_SUBJECT      "$WEIR.API.V1.BACKUP"
#define BACKUP_NEXT_SUBJECT BACKUP_SUBJECT ".NEXT"

struct backup_service_options {
    struct broker *broker;       // borrowed for life, as the next
    struct shard *shard;         // open
    struct stan *stan;           // NULL: no clients
    struct bytes cluster_id;     // borrowed for life
    uint32_t answer_bytes;       // of an answer, at most; at least 2
    const struct logger *logger; // borrowed for life
};

// Serves until backup_service_free(), which is before shard_quiesce() or at any later time before the shard goes.
struct backup_service *backup_service_new(const struct backup_service_options *options);
void backup_service_free(struct backup_service *service);
// Before shard_quiesce(): reads nothing any more, and answers nobody.
void backup_service_stop(struct backup_service *service);

// Answers what is asked for. True: come back at once.
bool backup_service_turn_end(struct backup_service *service, struct moment now);
uint64_t backup_service_next_deadline_ms(const struct backup_service *service);
