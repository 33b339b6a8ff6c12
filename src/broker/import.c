// SPDX-License-Identifier: Apache-2.0
// See import.h.
#include "broker/import.h"

#include "broker/connection.h"
#include "broker/latency.h"
#include "broker/request_info.h"
#include "broker/response.h"
#include "subject/subject.h"
#include "subject/transform.h"

#define SMALL_SUBJECT 256

static int import_new(const struct auth_import *item, struct import_target **ret_import);
static void open_import(struct import_target *import, const struct auth_account *exporter,
                        const struct auth_import *item);
static void import_remove(struct import_target *import);
static const struct auth_export *find_export(const struct auth_account *exporter, const struct auth_import *item);
static bool is_named(const struct auth_account *exporter, const struct auth_import *item, uint32_t importer);
static struct account *home(const struct import_target *import);
static struct bytes pattern(const struct import_target *import);
static bool forward_stream(struct import_target *import, struct broker_message *message, struct bytes subject);
static bool forward_request(struct import_target *import, struct broker_message *message, struct bytes subject);

int import_check_all(const struct auth_view *view)
{
    for (uint32_t i = 0; i < view->account_count; i++) {
        for (uint32_t k = 0; k < view->accounts[i].import_count; k++) {
            struct import_target *import;
            int error = import_new(&view->accounts[i].imports[k], &import);
            if (!error && subject_token_count(transform_source(import->transform)) > TRIE_TOKENS_DEFAULT)
                error = ERR_LIMIT;
            if (!error)
                import_free(import);
            if (error)
                return error;
        }
    }
    return 0;
}

void import_remove_all(struct broker *broker)
{
    list_foreach(link, &broker->accounts)
    {
        struct list *imports = &container_of(link, struct account, link)->imports, *first;
        while ((first = list_first(imports)))
            import_remove(container_of(first, struct import_target, link));
    }
}

void import_open_all(struct broker *broker, const struct auth_view *view)
{
    for (uint32_t i = 0; i < view->account_count; i++) {
        const struct auth_account *importer = &view->accounts[i];
        for (uint32_t k = 0; k < importer->import_count; k++) {
            const struct auth_import *item = &importer->imports[k];
            const struct auth_account *exporter = &view->accounts[item->account];
            struct import_target *import;
            int error = import_new(item, &import);
            must(error == 0);
            import->importer = account_find(broker, importer->name);
            import->exporter = account_find(broker, exporter->name);
            import->is_named = is_named(exporter, item, i);
            open_import(import, exporter, item);
        }
    }
}

bool import_deliver(struct import_target *import, struct broker_message *message)
{
    if (import->target.dead || message->skips_imports || message->hops >= IMPORT_HOPS_MAX)
        return false;
    char small[SMALL_SUBJECT];
    char *text = small;
    struct bytes subject = message->subject;
    if (!transform_is_identity(import->transform)) {
        size_t len = transform_apply(import->transform, subject, small, sizeof(small));
        if (len == 0)
            return false;
        if (len > sizeof(small)) {
            text = mem_alloc(len);
            transform_apply(import->transform, message->subject, text, len);
        }
        subject = bytes_make(text, len);
    }
    bool taken =
        import->is_service ? forward_request(import, message, subject) : forward_stream(import, message, subject);
    if (text != small)
        mem_free(text);
    return taken;
}

void import_free(struct import_target *import)
{
    transform_free(import->transform);
    mem_free((void *)import->latency_subject.ptr);
    mem_free(import);
}

static int import_new(const struct auth_import *item, struct import_target **ret_import)
{
    struct transform *transform;
    int error = item->is_service ? transform_new_inverse(item->subject, item->local, &transform)
                                 : transform_new(item->subject, item->local, &transform);
    if (error)
        return error;
    struct import_target *import = mem_alloc_zero(sizeof(*import));
    import->target.kind = TARGET_IMPORT;
    import->transform = transform;
    import->is_service = item->is_service;
    import->is_sharing = item->share;
    *ret_import = import;
    return 0;
}

static void open_import(struct import_target *import, const struct auth_account *exporter,
                        const struct auth_import *item)
{
    const struct auth_export *what = find_export(exporter, item);
    uint64_t threshold_ms =
        what && what->response_threshold_ns > 0 ? (uint64_t)what->response_threshold_ns / 1000000 : 0;
    import->threshold_ms = RESPONSE_THRESHOLD_MS;
    if (threshold_ms > 0)
        import->threshold_ms = threshold_ms < UINT32_MAX ? (uint32_t)threshold_ms : UINT32_MAX;
    if (what) {
        import->response = (uint8_t)what->response;
        import->latency_sampling = what->latency_subject.len > 0 ? what->latency_sampling : 0;
        import->latency_subject = bytes_make(mem_copy(what->latency_subject), what->latency_subject.len);
    }
    list_push_back(&import->importer->imports, &import->link);
    struct account *account = home(import);
    int error = trie_insert(account->trie, &import->target.entry, pattern(import), (struct bytes){0});
    must(error == 0); // valid, and no longer than a pattern may be
    account->import_count++;
    broker_inlet_count_overlap(account, NULL, pattern(import), 1);
}

static void import_remove(struct import_target *import)
{
    struct account *account = home(import);
    broker_inlet_count_overlap(account, NULL, pattern(import), -1);
    trie_remove(account->trie, &import->target.entry);
    account->import_count--;
    list_remove(&import->link);
    broker_bury(account->broker, &import->target);
}

// The one that says how answers are: that with the very subject, else the first that covers it.
static const struct auth_export *find_export(const struct auth_account *exporter, const struct auth_import *item)
{
    const struct auth_export *found = NULL;
    for (uint32_t i = 0; i < exporter->export_count; i++) {
        const struct auth_export *one = &exporter->exports[i];
        if (one->is_service != item->is_service)
            continue;
        if (bytes_equal(one->subject, item->subject))
            return one;
        if (!found && subject_covers(one->subject, item->subject))
            found = one;
    }
    return found;
}

// Is it exported to this account by a subject whose first token is spelt out?
static bool is_named(const struct auth_account *exporter, const struct auth_import *item, uint32_t importer)
{
    for (uint32_t i = 0; i < exporter->export_count; i++) {
        const struct auth_export *one = &exporter->exports[i];
        bool is_for_it = one->is_public;
        for (uint32_t k = 0; k < one->account_count && !is_for_it; k++)
            is_for_it = one->accounts[k] == importer;
        if (is_for_it && one->is_service == item->is_service && subject_names_first(one->subject, item->subject) &&
            subject_covers(one->subject, item->subject))
            return true;
    }
    return false;
}

// In whose trie it is.
static struct account *home(const struct import_target *import)
{
    return import->is_service ? import->importer : import->exporter;
}

static struct bytes pattern(const struct import_target *import)
{
    return transform_source(import->transform);
}

static bool forward_stream(struct import_target *import, struct broker_message *message, struct bytes subject)
{
    struct broker_message next = *message;
    next.subject = subject;
    next.skips_imports = true;
    return broker_forward(import->importer, &next, INLET_STANDING_NONE) > 0;
}

static bool forward_request(struct import_target *import, struct broker_message *message, struct bytes subject)
{
    struct broker *broker = import->importer->broker;
    struct broker_message next = *message;
    next.subject = subject;
    next.groups = NULL;
    if (!message->requester) {
        next.requester = import->importer;
        next.is_shared = import->is_sharing;
    }
    struct request_info info = {
        .account = next.requester,
        .service = message->requester ? import->importer : NULL,
        .connection = message->from,
        .is_detailed = next.is_shared,
        .with_server = next.is_shared || import->exporter == broker->system,
    };
    struct buffer header;
    request_info_add(&info, message->header, &header);
    next.header = buffer_bytes(&header);
    // What a client asked for itself, not an answer that goes where somebody said.
    bool is_asked = message->from && (message->hops == 0 || message->requester);
    enum inlet_standing standing = is_asked && import->is_named ? INLET_STANDING_EXPORTED : INLET_STANDING_NONE;
    char reply[RESPONSE_SUBJECT_LEN_MAX];
    uint64_t id = 0;
    bool taken = false;
    struct latency *latency = latency_begin(import, message, &info);
    struct response_request request = {.home = import->exporter,
                                       .asker = import->importer,
                                       .payer = next.requester,
                                       .reply = message->reply,
                                       .type = import->response,
                                       .threshold_ms = import->threshold_ms};
    if (message->reply.len == 0) {
        latency_end(latency, LATENCY_BAD_REQUEST, NULL);
        taken = broker_forward(import->exporter, &next, standing) > 0;
    } else if (!response_add(&request, reply, &next.reply.len, &id)) {
        next.reply.ptr = reply;
        response_measure(broker, id, latency);
        taken = broker_forward(import->exporter, &next, standing) > 0;
        if (!taken)
            response_remove(broker, id);
    } else {
        mem_free(latency);
    }
    buffer_deinit(&header);
    return taken;
}
