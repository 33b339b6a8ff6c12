// SPDX-License-Identifier: Apache-2.0
// See transform.h. A template is kept as pieces: runs of literal bytes, and the numbers of wildcards between them.
#include "subject/transform.h"

#include "base/memory.h"
#include "base/must.h"
#include "subject/subject.h"

enum piece_kind { PIECE_LITERAL, PIECE_WILDCARD, PIECE_REST };

struct piece {
    uint8_t kind;         // enum piece_kind
    uint16_t number;      // of the wildcard, from 0
    struct bytes literal; // borrowed from the text behind the pieces; without dots at its ends
};

struct transform {
    struct bytes source; // in the same allocation
    bool is_identity;
    uint32_t piece_count; // one per token of the destination
    struct piece pieces[];
};

// What the wildcards of a source matched.
struct matched {
    struct bytes wildcards[TRANSFORM_WILDCARDS_MAX];
    struct bytes rest;
};

static int count_wildcards(struct bytes pattern, uint32_t *ret_count, bool *ret_has_rest);
static int read_template(struct transform *transform, struct bytes destination, uint32_t wildcards, bool has_rest);
static uint32_t reference_number(struct bytes token);
static int invert(struct bytes source, struct bytes destination, char *pattern, char *template);
static bool match(struct bytes pattern, struct bytes subject, struct matched *ret_matched);
static char *put_token(char *start, char *at, struct bytes token);

int transform_new(struct bytes source, struct bytes destination, struct transform **ret_transform)
{
    uint32_t wildcards;
    bool has_rest;
    int error = count_wildcards(source, &wildcards, &has_rest);
    if (error)
        return error;
    if (destination.len == 0 || destination.len > SUBJECT_LEN_MAX)
        return ERR_INVALID;
    size_t pieces = subject_token_count(destination);
    size_t size = sizeof(struct transform) + pieces * sizeof(struct piece);
    struct transform *transform = mem_alloc(size + source.len + destination.len);
    char *text = (char *)transform + size;
    memcpy(text, source.ptr, source.len);
    memcpy(text + source.len, destination.ptr, destination.len);
    transform->source = bytes_make(text, source.len);
    transform->is_identity = bytes_equal(source, destination);
    transform->piece_count = 0;
    error = read_template(transform, bytes_make(text + source.len, destination.len), wildcards, has_rest);
    if (error) {
        mem_free(transform);
        return error;
    }
    *ret_transform = transform;
    return 0;
}

int transform_new_inverse(struct bytes source, struct bytes destination, struct transform **ret_transform)
{
    struct transform *forward; // tells whether both make sense
    int error = transform_new(source, destination, &forward);
    if (error)
        return error;
    transform_free(forward);
    // "$128" is the longest that a star may become.
    char *pattern = mem_alloc(destination.len + 1);
    char *template = mem_alloc(source.len * 4 + 1);
    error = invert(source, destination, pattern, template);
    if (!error)
        error = transform_new(bytes_from_string(pattern), bytes_from_string(template), ret_transform);
    mem_free(pattern);
    mem_free(template);
    return error;
}

void transform_free(struct transform *transform)
{
    mem_free(transform);
}

size_t transform_pattern(struct bytes destination, char *ret_buffer)
{
    struct bytes token;
    char *at = ret_buffer;
    while (subject_token_next(&destination, &token))
        at = put_token(ret_buffer, at, reference_number(token) > 0 ? BYTES("*") : token);
    return (size_t)(at - ret_buffer);
}

struct bytes transform_source(const struct transform *transform)
{
    return transform->source;
}

bool transform_is_identity(const struct transform *transform)
{
    return transform->is_identity;
}

size_t transform_apply(const struct transform *transform, struct bytes subject, char *ret_buffer, size_t size)
{
    struct matched matched;
    if (!match(transform->source, subject, &matched))
        return 0;
    size_t len = transform->piece_count - 1; // dots
    for (int pass = 0; pass < 2; pass++) {
        char *at = ret_buffer;
        for (uint32_t i = 0; i < transform->piece_count; i++) {
            const struct piece *piece = &transform->pieces[i];
            struct bytes token = piece->kind == PIECE_LITERAL    ? piece->literal
                                 : piece->kind == PIECE_WILDCARD ? matched.wildcards[piece->number]
                                                                 : matched.rest;
            if (pass == 0)
                len += token.len;
            else
                at = put_token(ret_buffer, at, token);
        }
        if (len > SUBJECT_LEN_MAX)
            return 0;
        if (len > size)
            break;
    }
    return len;
}

static int count_wildcards(struct bytes pattern, uint32_t *ret_count, bool *ret_has_rest)
{
    if (!subject_is_valid_subscribe(pattern))
        return ERR_INVALID;
    uint32_t count = 0;
    bool has_rest = false;
    struct bytes rest = pattern, token;
    while (subject_token_next(&rest, &token)) {
        count += bytes_equal(token, BYTES("*"));
        has_rest = bytes_equal(token, BYTES(">"));
    }
    if (count > TRANSFORM_WILDCARDS_MAX)
        return ERR_LIMIT;
    *ret_count = count;
    *ret_has_rest = has_rest;
    return 0;
}

static int read_template(struct transform *transform, struct bytes destination, uint32_t wildcards, bool has_rest)
{
    uint32_t stars = 0, references = 0;
    struct bytes rest = destination, token;
    while (subject_token_next(&rest, &token)) {
        struct piece piece = {.kind = PIECE_LITERAL, .literal = token};
        uint32_t number = reference_number(token);
        if (bytes_equal(token, BYTES("*"))) {
            piece = (struct piece){.kind = PIECE_WILDCARD, .number = (uint16_t)stars};
            if (++stars > wildcards)
                return ERR_INVALID;
        } else if (number > 0) {
            if (number > wildcards)
                return ERR_INVALID;
            piece = (struct piece){.kind = PIECE_WILDCARD, .number = (uint16_t)(number - 1)};
            references++;
        } else if (bytes_equal(token, BYTES(">"))) {
            if (!has_rest || rest.ptr)
                return ERR_INVALID;
            piece = (struct piece){.kind = PIECE_REST};
        } else if (!subject_is_valid_publish(token)) {
            return ERR_INVALID;
        }
        transform->pieces[transform->piece_count++] = piece;
    }
    return stars > 0 && references > 0 ? ERR_INVALID : 0;
}

// Of "$n" or "{{wildcard(n)}}"; 0: it is neither.
static uint32_t reference_number(struct bytes token)
{
    const struct bytes long_form = BYTES("{{wildcard(");
    if (token.len > 1 && token.ptr[0] == '$') {
        token = bytes_skip(token, 1);
    } else if (token.len > long_form.len + 3 && memcmp(token.ptr, long_form.ptr, long_form.len) == 0 &&
               memcmp(token.ptr + token.len - 3, ")}}", 3) == 0) {
        token = bytes_make(token.ptr + long_form.len, token.len - long_form.len - 3);
    } else {
        return 0;
    }
    uint32_t number = 0;
    for (size_t i = 0; i < token.len; i++) {
        if (token.ptr[i] < '0' || token.ptr[i] > '9' || i >= 4)
            return 0;
        number = number * 10 + (uint32_t)(token.ptr[i] - '0');
    }
    return number;
}

// The destination with its references as stars, and the source with each star as a reference to one of those.
static int invert(struct bytes source, struct bytes destination, char *pattern, char *template)
{
    uint16_t places[TRANSFORM_WILDCARDS_MAX] = {0}; // of each wildcard of the source: its place in the pattern, from 1
    uint16_t place = 0, stars = 0;
    struct bytes rest = destination, token;
    while (subject_token_next(&rest, &token)) {
        uint32_t number = bytes_equal(token, BYTES("*")) ? ++stars : reference_number(token);
        if (number == 0)
            continue;
        if (places[number - 1])
            return ERR_INVALID;
        places[number - 1] = ++place;
    }
    pattern[transform_pattern(destination, pattern)] = '\0';
    uint16_t wildcard = 0;
    rest = source;
    char *at = template;
    while (subject_token_next(&rest, &token)) {
        if (!bytes_equal(token, BYTES("*"))) {
            at = put_token(template, at, token);
            continue;
        }
        place = places[wildcard++];
        if (place == 0)
            return ERR_INVALID;
        char digits[4] = {'$', (char)('0' + place / 100), (char)('0' + place / 10 % 10), (char)('0' + place % 10)};
        at = put_token(template, at, bytes_make(digits, 4));
    }
    *at = '\0';
    return 0;
}

static bool match(struct bytes pattern, struct bytes subject, struct matched *ret_matched)
{
    uint32_t wildcards = 0;
    struct bytes token, part;
    while (subject_token_next(&pattern, &token)) {
        if (bytes_equal(token, BYTES(">"))) {
            ret_matched->rest = subject;
            return subject.len > 0;
        }
        if (!subject_token_next(&subject, &part))
            return false;
        if (bytes_equal(token, BYTES("*")))
            ret_matched->wildcards[wildcards++] = part;
        else if (!bytes_equal(token, part))
            return false;
    }
    return !subject.ptr;
}

static char *put_token(char *start, char *at, struct bytes token)
{
    if (at != start)
        *at++ = '.';
    if (token.len > 0)
        memcpy(at, token.ptr, token.len);
    return at + token.len;
}
