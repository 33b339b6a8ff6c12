// SPDX-License-Identifier: Apache-2.0
// Subject rules and matching. One pass over the bytes each, because publishing checks and matches per message; never
// allocates, never reads behind the given length.
#include "subject/subject.h"

struct shape {
    bool valid;    // as a subscription
    bool wildcard; // has a wildcard token
};

static struct shape subject_shape(struct bytes subject);
static bool is_blank(char c);
static bool token_is(struct bytes token, char wildcard);
static uint64_t dots_in(uint64_t eight);

bool subject_is_valid_publish(struct bytes subject)
{
    struct shape shape = subject_shape(subject);
    return shape.valid && !shape.wildcard;
}

bool subject_is_valid_subscribe(struct bytes pattern)
{
    return subject_shape(pattern).valid;
}

bool subject_is_valid_queue(struct bytes queue)
{
    for (size_t i = 0; i < queue.len; i++) {
        if (is_blank(queue.ptr[i]))
            return false;
    }
    return queue.len > 0 && queue.len <= SUBJECT_LEN_MAX;
}

bool subject_has_empty_token(struct bytes subject)
{
    if (subject.len == 0 || subject.ptr[0] == '.' || subject.ptr[subject.len - 1] == '.')
        return true;
    uint64_t pairs = 0;
    size_t i = 0;
    for (; i + 9 <= subject.len; i += 8)
        pairs |= dots_in(bytes_load64(subject.ptr + i)) & dots_in(bytes_load64(subject.ptr + i + 1));
    for (; i + 1 < subject.len; i++)
        pairs |= subject.ptr[i] == '.' && subject.ptr[i + 1] == '.';
    return pairs != 0;
}

bool subject_has_wildcard(struct bytes pattern)
{
    for (size_t i = 0; i < pattern.len; i++) {
        if (pattern.ptr[i] != '*' && pattern.ptr[i] != '>')
            continue;
        bool starts = i == 0 || pattern.ptr[i - 1] == '.';
        bool ends = i + 1 == pattern.len || pattern.ptr[i + 1] == '.';
        if (starts && ends)
            return true;
    }
    return false;
}

bool subject_match(struct bytes pattern, struct bytes subject)
{
    struct bytes wanted, token;
    while (subject_token_next(&pattern, &wanted)) {
        if (subject.ptr == NULL)
            return false;
        if (token_is(wanted, '>') && pattern.ptr == NULL)
            return true;
        subject_token_next(&subject, &token);
        if (!token_is(wanted, '*') && !bytes_equal(wanted, token))
            return false;
    }
    return subject.ptr == NULL;
}

bool subject_overlap(struct bytes a, struct bytes b)
{
    struct bytes token_a, token_b;
    while (a.ptr != NULL && b.ptr != NULL) {
        subject_token_next(&a, &token_a);
        subject_token_next(&b, &token_b);
        if ((token_is(token_a, '>') && a.ptr == NULL) || (token_is(token_b, '>') && b.ptr == NULL))
            return true;
        if (!token_is(token_a, '*') && !token_is(token_b, '*') && !bytes_equal(token_a, token_b))
            return false;
    }
    return a.ptr == NULL && b.ptr == NULL;
}

bool subject_covers(struct bytes outer, struct bytes inner)
{
    struct bytes token_outer, token_inner;
    while (outer.ptr != NULL && inner.ptr != NULL) {
        subject_token_next(&outer, &token_outer);
        subject_token_next(&inner, &token_inner);
        if (token_is(token_outer, '>') && outer.ptr == NULL)
            return true;
        if (token_is(token_inner, '>') && inner.ptr == NULL)
            return false;
        if (!token_is(token_outer, '*') && !bytes_equal(token_outer, token_inner))
            return false;
    }
    return outer.ptr == NULL && inner.ptr == NULL;
}

bool subject_names_first(struct bytes pattern, struct bytes subject)
{
    struct bytes named, token;
    return subject_token_next(&pattern, &named) && subject_token_next(&subject, &token) && bytes_equal(named, token) &&
           !token_is(named, '*') && !token_is(named, '>');
}

size_t subject_token_count(struct bytes subject)
{
    size_t count = subject.len > 0;
    for (size_t i = 0; i < subject.len; i++)
        count += subject.ptr[i] == '.';
    return count;
}

bool subject_token_next(struct bytes *rest, struct bytes *ret_token)
{
    if (rest->ptr == NULL)
        return false;
    size_t len = 0;
    while (len < rest->len && rest->ptr[len] != '.')
        len++;
    *ret_token = bytes_make(rest->ptr, len);
    *rest = len < rest->len ? bytes_skip(*rest, len + 1) : bytes_make(NULL, 0);
    return true;
}

static struct shape subject_shape(struct bytes subject)
{
    struct shape bad = {false, false};
    struct shape shape = {true, false};
    if (subject.len == 0 || subject.len > SUBJECT_LEN_MAX)
        return bad;
    size_t start = 0;
    for (size_t i = 0; i <= subject.len; i++) {
        if (i < subject.len && subject.ptr[i] != '.') {
            if (is_blank(subject.ptr[i]))
                return bad;
            continue;
        }
        if (i == start)
            return bad;
        if (i == start + 1) {
            if (subject.ptr[start] == '>' && i < subject.len)
                return bad;
            shape.wildcard |= subject.ptr[start] == '*' || subject.ptr[start] == '>';
        }
        start = i + 1;
    }
    return shape;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' || c == '\0';
}

static bool token_is(struct bytes token, char wildcard)
{
    return token.len == 1 && token.ptr[0] == wildcard;
}

// The high bit of each byte that is a dot, and no other. A sum of two bytes below 0x80 does not reach into the next one.
static uint64_t dots_in(uint64_t eight)
{
    const uint64_t low = UINT64_C(0x7f7f7f7f7f7f7f7f);
    uint64_t other = eight ^ UINT64_C(0x2e2e2e2e2e2e2e2e);
    return ~(((other & low) + low) | other | low);
}
