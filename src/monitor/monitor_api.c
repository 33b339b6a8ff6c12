// SPDX-License-Identifier: Apache-2.0
// The admin API over HTTP (docs/admin-api.md, "HTTP"). Only what a page of this server, or no browser at all, can send is looked at: JSON, with a
// field of our own, from the same host; so no page elsewhere acts in an operator's name. Without credentials whoever is on this machine may look,
// if the request names the machine by address or as "localhost": a name that somebody else resolves may have led a browser here.
#include "auth/permit.h"
#include "base/memory.h"
#include "base/number.h"
#include "monitor/api_login.h"
#include "monitor/monitor_internal.h"

enum { REQUEST_MAX = 64, SUBJECT_PREFIX_LEN = sizeof("$WEIR.API.V1.") - 1 };

// A request that is being answered. Holds its page.
struct api_call {
    struct monitor *monitor;
    struct page *page;
    struct api_login_try *login; // NULL: nobody is being looked up
    uint64_t number;             // of the API; 0: not asked
    char subject[SUBJECT_PREFIX_LEN + REQUEST_MAX];
    size_t subject_len;
    struct bytes body; // owned
};

static bool read_name(struct bytes rest, struct api_call *call);
static const char *refused_as(const struct http_request *request);
static bool is_from_here(const struct http_request *request);
static bool names_this_machine(struct bytes host);
static void refuse(struct page *page, int status, const char *code, const char *message);
static void on_login(void *owner, enum api_login_verdict verdict, const struct auth_permissions *permissions);
static void ask(struct api_call *call);
static void on_answer(void *owner, unsigned status, struct bytes json);
static void on_leave(struct page *page);
static void end(struct api_call *call);

void monitor_api(struct monitor *monitor, struct page *page, struct bytes rest)
{
    const struct http_request *request = page->request;
    struct api_call call = {.monitor = monitor, .page = page};
    struct bytes authorization;
    if (!monitor->options.admin || !read_name(rest, &call)) {
        refuse(page, 404, "unknown_request", "there is no such request");
        return;
    }
    if (!request->post) {
        page->fields = BYTES("Allow: POST\r\n");
        refuse(page, 405, "bad_request", "requests of the admin API are POST");
        return;
    }
    const char *wrong = refused_as(request);
    if (wrong) {
        refuse(page, 403, "not_permitted", wrong);
        return;
    }
    bool known = http_field_find(request->fields, BYTES("authorization"), &authorization);
    struct bytes name = bytes_make(call.subject + SUBJECT_PREFIX_LEN, call.subject_len - SUBJECT_PREFIX_LEN);
    if (!known && !(page->is_local && is_from_here(request) && admin_api_is_view(name))) {
        refuse(page, 401, "not_permitted", "this needs credentials");
        return;
    }
    struct api_call *held = mem_alloc(sizeof(*held));
    *held = call;
    char *body = mem_alloc(request->body.len + 1);
    memcpy(body, request->body.ptr, request->body.len);
    held->body = bytes_make(body, request->body.len);
    page->held = true;
    page->holder = held;
    page->leave = on_leave;
    if (!known) {
        ask(held);
        return;
    }
    // Answered within the call, `held` may be gone: only what is given back counts.
    struct api_login_try *login = api_login_ask(monitor->login, authorization, monitor->now, on_login, held);
    if (login)
        held->login = login;
}

// "channel/list": "$WEIR.API.V1.CHANNEL.LIST".
static bool read_name(struct bytes rest, struct api_call *call)
{
    memcpy(call->subject, "$WEIR.API.V1.", SUBJECT_PREFIX_LEN);
    call->subject_len = SUBJECT_PREFIX_LEN + rest.len;
    if (rest.len == 0 || rest.len > REQUEST_MAX)
        return false;
    for (size_t i = 0; i < rest.len; i++) {
        char c = rest.ptr[i];
        if ((c < 'a' || c > 'z') && c != '/')
            return false;
        call->subject[SUBJECT_PREFIX_LEN + i] = c == '/' ? '.' : (char)(c - ('a' - 'A'));
    }
    return true;
}

// Why not; NULL: it is no page of another site that asks.
static const char *refused_as(const struct http_request *request)
{
    struct bytes value, host, type;
    if (!http_field_find(request->fields, BYTES("content-type"), &type) ||
        !(bytes_equal_fold(type, BYTES("application/json")) || bytes_starts_with(type, BYTES("application/json;"))))
        return "Content-Type must be application/json";
    if (!http_field_find(request->fields, BYTES("weir-request"), &value))
        return "the header Weir-Request: 1 is missing";
    if (http_field_find(request->fields, BYTES("sec-fetch-site"), &value) &&
        !bytes_equal(value, BYTES("same-origin")) && !bytes_equal(value, BYTES("none")))
        return "a page of another site may not ask";
    if (!http_field_find(request->fields, BYTES("origin"), &value))
        return NULL;
    if (!http_field_find(request->fields, BYTES("host"), &host))
        return "a page of another site may not ask";
    size_t scheme = bytes_starts_with(value, BYTES("https://"))  ? 8
                    : bytes_starts_with(value, BYTES("http://")) ? 7
                                                                 : 0;
    bool same = scheme && bytes_equal_fold(bytes_skip(value, scheme), host);
    return same ? NULL : "a page of another site may not ask";
}

static bool is_from_here(const struct http_request *request)
{
    struct bytes host;
    return !http_field_find(request->fields, BYTES("host"), &host) || names_this_machine(host);
}

// An address, or "localhost", with or without a port.
static bool names_this_machine(struct bytes host)
{
    if (host.len && host.ptr[0] == '[') {
        const char *end = memchr(host.ptr, ']', host.len);
        size_t len = end ? (size_t)(end - host.ptr) : 0;
        for (size_t i = 1; i < len; i++) {
            if (host.ptr[i] != ':' && host.ptr[i] != '.' && number_hex_digit(host.ptr[i]) < 0)
                return false;
        }
        return len > 1;
    }
    const char *colon = host.len ? memchr(host.ptr, ':', host.len) : NULL;
    if (colon)
        host.len = (size_t)(colon - host.ptr);
    if (bytes_equal_fold(host, BYTES("localhost")))
        return true;
    size_t dots = 0;
    for (size_t i = 0; i < host.len; i++) {
        dots += host.ptr[i] == '.';
        if (host.ptr[i] != '.' && (host.ptr[i] < '0' || host.ptr[i] > '9'))
            return false;
    }
    return dots == 3;
}

static void refuse(struct page *page, int status, const char *code, const char *message)
{
    page->status = status;
    buffer_clear(page->body);
    admin_api_put_error(page->body, code, message);
}

static void on_login(void *owner, enum api_login_verdict verdict, const struct auth_permissions *permissions)
{
    struct api_call *call = owner;
    call->login = NULL;
    struct bytes subject = bytes_make(call->subject, call->subject_len);
    bool allowed =
        verdict == API_LOGIN_ALL || (verdict == API_LOGIN_USER && permissions && permit_names(permissions, subject));
    if (allowed) {
        ask(call);
        return;
    }
    if (verdict == API_LOGIN_BUSY)
        refuse(call->page, 503, "busy",
               "too many logins under way, or too many that were wrong: try again in a minute");
    else if (verdict == API_LOGIN_REFUSED)
        refuse(call->page, 401, "not_permitted", "wrong user or password");
    else
        refuse(call->page, 403, "not_permitted", "your permissions do not name this request");
    end(call);
}

static void ask(struct api_call *call)
{
    struct bytes name = bytes_make(call->subject + SUBJECT_PREFIX_LEN, call->subject_len - SUBJECT_PREFIX_LEN);
    uint64_t number = admin_api_ask(call->monitor->options.admin, name, call->body, on_answer, call);
    if (number) // else it was answered, and the call is gone
        call->number = number;
}

static void on_answer(void *owner, unsigned status, struct bytes json)
{
    struct api_call *call = owner;
    call->page->status = (int)status;
    if (buffer_append(call->page->body, json))
        monitor_say(call->page, 503, "this page has become too long");
    end(call);
}

static void on_leave(struct page *page)
{
    struct api_call *call = page->holder;
    if (call->login)
        api_login_forget(call->login);
    else
        admin_api_forget(call->monitor->options.admin, call->number);
    end(call);
}

static void end(struct api_call *call)
{
    struct page *page = call->page;
    mem_free((char *)call->body.ptr);
    mem_free(call);
    page_finish(page);
}
