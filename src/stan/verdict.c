// SPDX-License-Identifier: Apache-2.0
#include "stan/verdict.h"

#include <stddef.h>

#include "base/memory.h"
#include "base/number.h"
#include "codec/duration.h"
#include "codec/json_fields.h"

static const uint64_t DELAY_MAX_NS = 365ULL * 24 * 3600 * 1000000000;

static bool take_word(struct bytes *from, const char *word);
static int take_sequence(struct bytes *from, uint64_t *ret_sequence);
static int options_read(struct bytes text, struct verdict *verdict);

int verdict_decode(struct bytes payload, struct verdict *ret)
{
    static const char *const words[] = {
        [VERDICT_IN_PROGRESS] = "+WPI", [VERDICT_GIVE_BACK] = "-NAK", [VERDICT_TERMINATE] = "+TERM"};
    size_t kind = 0, count = sizeof(words) / sizeof(words[0]);
    while (kind < count && !take_word(&payload, words[kind]))
        kind++;
    if (kind == count)
        return ERR_NOT_FOUND;
    *ret = (struct verdict){.kind = (enum verdict_kind)kind, .count = true};
    if (take_sequence(&payload, &ret->sequence))
        return ERR_INVALID;
    if (ret->kind == VERDICT_GIVE_BACK)
        return payload.len ? options_read(payload, ret) : 0;
    if (ret->kind == VERDICT_IN_PROGRESS)
        return payload.len ? ERR_INVALID : 0;
    ret->reason = payload;
    return ret->sequence ? 0 : ERR_INVALID;
}

// With the blank behind it, if there is more.
static bool take_word(struct bytes *from, const char *word)
{
    struct bytes expected = bytes_from_string(word);
    if (!bytes_starts_with(*from, expected) || (from->len > expected.len && from->ptr[expected.len] != ' '))
        return false;
    *from = bytes_skip(*from, from->len > expected.len ? expected.len + 1 : expected.len);
    return true;
}

// Of what does not begin with a digit nothing is taken.
static int take_sequence(struct bytes *from, uint64_t *ret_sequence)
{
    size_t len = 0;
    while (len < from->len && from->ptr[len] >= '0' && from->ptr[len] <= '9')
        len++;
    if (len == 0)
        return 0;
    bool ends = len == from->len || from->ptr[len] == ' ';
    if (!ends || number_parse_u64(bytes_make(from->ptr, len), UINT64_MAX, ret_sequence) || *ret_sequence == 0)
        return ERR_INVALID;
    *from = bytes_skip(*from, len == from->len ? len : len + 1);
    return 0;
}

// A delay is a number of nanoseconds, as JetStream has it, or a duration as text.
static int options_read(struct bytes text, struct verdict *verdict)
{
    struct {
        uint64_t ns;
        struct bytes duration;
        bool count;
    } options = {.count = true};
    const size_t ns = offsetof(__typeof__(options), ns), duration = offsetof(__typeof__(options), duration),
                 count = offsetof(__typeof__(options), count);
    const struct json_field numbers[] = {{"delay", ns, JSON_FIELD_U64, false},
                                         {"count", count, JSON_FIELD_BOOL, false}};
    const struct json_field texts[] = {{"delay", duration, JSON_FIELD_BYTES, false},
                                       {"count", count, JSON_FIELD_BOOL, false}};
    char *owned;
    if (text.len > VERDICT_OPTIONS_MAX)
        return ERR_INVALID;
    int error = json_fields_read(text, numbers, 2, &options, &owned);
    if (error) {
        options.ns = 0;
        error = json_fields_read(text, texts, 2, &options, &owned);
    }
    if (error)
        return ERR_INVALID;
    if (options.duration.len && duration_parse(options.duration, DELAY_MAX_NS, &options.ns))
        error = ERR_INVALID;
    mem_free(owned);
    verdict->delay_ns = options.ns;
    verdict->count = options.count;
    return error || options.ns > DELAY_MAX_NS ? ERR_INVALID : 0;
}
