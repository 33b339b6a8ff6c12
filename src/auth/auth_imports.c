// SPDX-License-Identifier: Apache-2.0
// See auth_imports.h. Imports are the nodes of a graph; an edge leads to the imports that may take over what the first one
// carries. A service carries a request from the importer to the exporter, a stream a message the other way round.
#include "auth/auth_imports.h"

#include "base/memory.h"
#include "base/must.h"
#include "subject/subject.h"
#include "subject/transform.h"

enum colour { WHITE, GREY, BLACK };

struct node {
    const struct auth_import *import;
    uint32_t account; // the importer
    uint8_t colour;   // enum colour: not yet seen, on the path, done
    uint8_t length;   // of the longest chain from here, once BLACK
    uint32_t next;    // of the imports from the same exporter, plus one; 0: none
};

struct graph {
    const struct auth_view *view;
    struct node *nodes;       // owned
    uint32_t *first_node;     // owned: of each account's own imports; one more at the end
    uint32_t *first_importer; // owned: of the imports from each account, plus one; 0: none
    const char *text;         // why it failed
};

static void graph_init(struct graph *graph, const struct auth_view *view);
static bool check_mapping(const struct auth_import *item);
static bool walk(struct graph *graph, struct node *node, uint32_t depth);
static bool step(struct graph *graph, struct node *node, struct node *next, uint32_t depth);
static bool leads_to(const struct auth_import *from, const struct auth_import *to);

int auth_imports_check(const struct auth_view *view, struct auth_imports_error *ret_error)
{
    struct graph graph;
    graph_init(&graph, view);
    int result = 0;
    for (uint32_t i = 0; i < graph.first_node[view->account_count] && !result; i++) {
        struct node *node = &graph.nodes[i];
        bool right = check_mapping(node->import);
        graph.text = right ? NULL : "its `to` does not fit its subject";
        if (right && (node->colour == BLACK || walk(&graph, node, 1)))
            continue;
        *ret_error = (struct auth_imports_error){
            .account = node->account, .import = i - graph.first_node[node->account], .text = graph.text};
        result = ERR_INVALID;
    }
    mem_free(graph.nodes);
    mem_free(graph.first_node);
    mem_free(graph.first_importer);
    return result;
}

static void graph_init(struct graph *graph, const struct auth_view *view)
{
    *graph = (struct graph){.view = view};
    graph->first_node = mem_alloc_zero(((size_t)view->account_count + 1) * sizeof(uint32_t));
    graph->first_importer = mem_alloc_zero(((size_t)view->account_count + 1) * sizeof(uint32_t));
    for (uint32_t i = 0; i < view->account_count; i++)
        graph->first_node[i + 1] = graph->first_node[i] + view->accounts[i].import_count;
    graph->nodes = mem_alloc_zero(((size_t)graph->first_node[view->account_count] + 1) * sizeof(struct node));
    for (uint32_t i = 0; i < view->account_count; i++) {
        for (uint32_t k = 0; k < view->accounts[i].import_count; k++) {
            uint32_t at = graph->first_node[i] + k;
            struct node *node = &graph->nodes[at];
            node->import = &view->accounts[i].imports[k];
            node->account = i;
            node->next = graph->first_importer[node->import->account];
            graph->first_importer[node->import->account] = at + 1;
        }
    }
}

static bool check_mapping(const struct auth_import *item)
{
    struct transform *transform;
    int error = item->is_service ? transform_new_inverse(item->subject, item->local, &transform)
                                 : transform_new(item->subject, item->local, &transform);
    if (!error)
        transform_free(transform);
    return !error;
}

// Deep as the chain, which ends at AUTH_CHAIN_MAX.
static bool walk(struct graph *graph, struct node *node, uint32_t depth)
{
    node->colour = GREY;
    node->length = 1;
    if (node->import->is_service) {
        uint32_t exporter = node->import->account;
        for (uint32_t i = graph->first_node[exporter]; i < graph->first_node[exporter + 1]; i++) {
            if (!step(graph, node, &graph->nodes[i], depth))
                return false;
        }
    } else {
        for (uint32_t i = graph->first_importer[node->account]; i > 0; i = graph->nodes[i - 1].next) {
            if (!step(graph, node, &graph->nodes[i - 1], depth))
                return false;
        }
    }
    node->colour = BLACK;
    return true;
}

static bool step(struct graph *graph, struct node *node, struct node *next, uint32_t depth)
{
    if (next->import->is_service != node->import->is_service)
        return true;
    if (node->import->is_service ? !leads_to(node->import, next->import) : !leads_to(next->import, node->import))
        return true;
    if (next->colour == GREY) {
        graph->text = "it forms a cycle of imports";
        return false;
    }
    graph->text = "too many imports follow each other";
    if (depth >= AUTH_CHAIN_MAX)
        return false;
    if (next->colour == WHITE && !walk(graph, next, depth + 1))
        return false;
    if (next->length >= AUTH_CHAIN_MAX)
        return false;
    if (node->length < next->length + 1)
        node->length = (uint8_t)(next->length + 1);
    return true;
}

// Does what the one asks for in the exporter reach what the exporter itself imports?
static bool leads_to(const struct auth_import *from, const struct auth_import *to)
{
    char *scratch = mem_alloc(to->local.len + 1);
    bool overlap = subject_overlap(from->subject, bytes_make(scratch, transform_pattern(to->local, scratch)));
    mem_free(scratch);
    return overlap;
}
