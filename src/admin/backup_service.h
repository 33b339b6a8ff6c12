// SPDX-License-Identifier: Apache-2.0
// Backups of a running server, asked for over NATS in the account `$G`:
//
//   $WEIR.API.V1.BACKUP       request: a channel's name, or nothing: all.   Answer: "B" and the number of the backup
//   $WEIR.API.V1.BACKUP.NEXT  request: that number.                         Answer: "D" and the next frames; "Z" and the last ones
//   an answer that is an error: "E" and a text
//
// The first request takes the state of channels, consumers and clients, all as of one moment; messages up to there are read as they are
// asked for, a bounded number per turn, so that nobody else waits. What limits drop meanwhile is not in it. Several requests for
// frames may be under way; they are answered in order. One backup at a time; one that nobody asks for any more is forgotten.
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
    uint32_t answer_bytes;       // of an answer, about; clients must be able to take it
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
