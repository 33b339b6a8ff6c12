// SPDX-License-Identifier: Apache-2.0
// HTTP requests: any bytes may be read; what a request says lies within them; more bytes behind a complete request change
// nothing, and fewer never make one.
#include "base/must.h"
#include "codec/http.h"

enum { BODY_MAX = 256 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool lies_in(struct bytes part, struct bytes whole)
{
    return part.len == 0 || (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
}

static void check_cuts(struct bytes input, size_t used)
{
    struct http_request request;
    size_t again;
    must(http_request_parse(bytes_make(input.ptr, used), BODY_MAX, &request, &again) == 0 && again == used);
    for (size_t len = 0; len < used; len += 1 + used / 64)
        must(http_request_parse(bytes_make(input.ptr, len), BODY_MAX, &request, &again) == ERR_AGAIN);
}

static void check_query(struct bytes query)
{
    char value[32];
    int error = http_query_find(query, BYTES("a"), value, sizeof(value));
    must(error == 0 || error == ERR_NOT_FOUND || error == ERR_TOO_BIG || error == ERR_INVALID);
    must(error != 0 || memchr(value, '\0', sizeof(value)) != NULL);
}

static void check_accept(struct bytes fields)
{
    for (int named = 0; named < 2; named++)
        must(http_accept_weight(fields, BYTES("a/b"), BYTES("0.1,1"), named) <= 1000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes input = bytes_make(data, size);
    struct http_request request;
    size_t used;
    int error = http_request_parse(input, BODY_MAX, &request, &used);
    must(error != ERR_AGAIN || size < HTTP_HEAD_SIZE_MAX + BODY_MAX);
    check_query(input);
    if (error)
        return 0;
    must(used > 0 && used <= size && used <= HTTP_HEAD_SIZE_MAX + BODY_MAX);
    must(request.path.len > 0 && request.path.ptr[0] == '/');
    must(lies_in(request.path, input) && lies_in(request.query, input) && lies_in(request.body, input));
    must(request.post || request.body.len == 0);
    check_cuts(input, used);
    check_query(request.query);
    check_accept(request.fields);
    return 0;
}
