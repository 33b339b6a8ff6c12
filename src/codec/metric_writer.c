// SPDX-License-Identifier: Apache-2.0
// tidy: prefix metric
#include "codec/metric_writer.h"

#include "base/must.h"
#include "base/number.h"
#include "base/utf8.h"

#define NS_PER_SECOND 1000000000

enum { SAMPLE_EXTRA = 64, SECONDS_SIZE = NUMBER_MAX_DIGITS + 11 };

static struct bytes ending(enum metric_type type);
static void begin_line(struct metric_writer *writer, struct bytes keyword);
static void put(struct metric_writer *writer, struct bytes text);
static void put_sample(struct metric_writer *writer, struct bytes ending, struct bytes labels, struct bytes value);
static struct bytes seconds_text(char text[SECONDS_SIZE], uint64_t ns, bool canonical);
static int append_escaped(struct buffer *labels, struct bytes value);
static struct bytes escape(struct bytes value, char hidden[5], size_t *ret_used);

void metric_writer_init(struct metric_writer *writer, struct buffer *out, enum metric_format format)
{
    *writer = (struct metric_writer){.out = out, .format = format};
}

void metric_writer_family(struct metric_writer *writer, enum metric_type type, const char *name, const char *help)
{
    static const char *const types[] = {"counter", "gauge", "histogram", "info", "unknown"};
    bool open = writer->format == METRIC_OPENMETRICS;
    writer->type = type;
    writer->name = bytes_from_string(name);
    begin_line(writer, BYTES("# HELP "));
    put(writer, bytes_from_string(help));
    begin_line(writer, BYTES("\n# TYPE "));
    if (open || type < METRIC_INFO)
        put(writer, bytes_from_string(types[type]));
    else
        put(writer, type == METRIC_INFO ? BYTES("gauge") : BYTES("untyped"));
    put(writer, BYTES("\n"));
}

void metric_writer_u64(struct metric_writer *writer, struct bytes labels, uint64_t value)
{
    char text[NUMBER_MAX_DIGITS];
    put_sample(writer, ending(writer->type), labels, bytes_make(text, number_format_u64(text, value)));
}

void metric_writer_seconds(struct metric_writer *writer, struct bytes labels, uint64_t ns)
{
    char text[SECONDS_SIZE];
    put_sample(writer, ending(writer->type), labels, seconds_text(text, ns, false));
}

void metric_writer_histogram(struct metric_writer *writer, const struct histogram *histogram, const uint64_t *edges,
                             size_t count, bool seconds)
{
    char space[64], text[SECONDS_SIZE], number[NUMBER_MAX_DIGITS];
    for (size_t i = 0; i <= count; i++) {
        // An edge is a floating-point number, and is written as one.
        uint64_t edge = i == count ? 0 : seconds ? edges[i] : edges[i] * NS_PER_SECOND;
        uint64_t up_to = i == count ? histogram_count(histogram) : histogram_count_up_to(histogram, edges[i]);
        struct buffer labels = {.ptr = space, .cap = sizeof(space), .max = sizeof(space)};
        must(metric_label_append(&labels, "le", i == count ? BYTES("+Inf") : seconds_text(text, edge, true)) == 0);
        put_sample(writer, BYTES("_bucket"), buffer_bytes(&labels),
                   bytes_make(number, number_format_u64(number, up_to)));
    }
    struct bytes sum =
        seconds ? seconds_text(text, histogram->sum, false) : bytes_make(text, number_format_u64(text, histogram->sum));
    put_sample(writer, BYTES("_sum"), (struct bytes){0}, sum);
    put_sample(writer, BYTES("_count"), (struct bytes){0},
               bytes_make(number, number_format_u64(number, histogram_count(histogram))));
}

int metric_writer_finish(struct metric_writer *writer)
{
    if (writer->format == METRIC_OPENMETRICS)
        put(writer, BYTES("# EOF\n"));
    return writer->error;
}

int metric_label_append(struct buffer *labels, const char *key, struct bytes value)
{
    size_t before = labels->len;
    int error = before > 0 ? buffer_append_char(labels, ',') : 0;
    if (!error)
        error = buffer_append(labels, bytes_from_string(key));
    if (!error)
        error = buffer_append(labels, BYTES("=\""));
    if (!error)
        error = append_escaped(labels, value);
    if (!error)
        error = buffer_append_char(labels, '"');
    if (error)
        labels->len = before;
    return error;
}

static struct bytes ending(enum metric_type type)
{
    return type == METRIC_COUNTER ? BYTES("_total") : type == METRIC_INFO ? BYTES("_info") : (struct bytes){0};
}

// OpenMetrics calls a family by its name, the older format by that of its samples.
static void begin_line(struct metric_writer *writer, struct bytes keyword)
{
    put(writer, keyword);
    put(writer, writer->name);
    if (writer->format == METRIC_PROMETHEUS)
        put(writer, ending(writer->type));
    put(writer, BYTES(" "));
}

static void put(struct metric_writer *writer, struct bytes text)
{
    if (!writer->error)
        writer->error = buffer_append(writer->out, text);
}

static void put_sample(struct metric_writer *writer, struct bytes ending, struct bytes labels, struct bytes value)
{
    size_t most = writer->name.len + ending.len + labels.len + value.len + SAMPLE_EXTRA;
    char *at = writer->error ? NULL : buffer_reserve(writer->out, most);
    if (!at) {
        writer->error = ERR_TOO_BIG;
        return;
    }
    const char *begin = at;
    const struct bytes parts[] = {writer->name, ending, labels, value};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        bool braces = i == 2 && labels.len > 0;
        if (braces)
            *at++ = '{';
        if (parts[i].len > 0)
            memcpy(at, parts[i].ptr, parts[i].len);
        at += parts[i].len;
        if (braces)
            *at++ = '}';
        if (i == 2)
            *at++ = ' ';
    }
    *at++ = '\n';
    buffer_commit(writer->out, (size_t)(at - begin));
}

// Without digits that say nothing; `canonical`: at least one behind the point.
static struct bytes seconds_text(char text[SECONDS_SIZE], uint64_t ns, bool canonical)
{
    size_t len = number_format_u64(text, ns / NS_PER_SECOND);
    uint64_t rest = ns % NS_PER_SECOND;
    if (rest == 0 && !canonical)
        return bytes_make(text, len);
    text[len++] = '.';
    do {
        rest *= 10;
        text[len++] = (char)('0' + rest / NS_PER_SECOND);
        rest %= NS_PER_SECOND;
    } while (rest > 0);
    return bytes_make(text, len);
}

static int append_escaped(struct buffer *labels, struct bytes value)
{
    int error = 0;
    while (value.len > 0 && !error) {
        size_t plain = 0;
        while (plain < value.len && value.ptr[plain] >= ' ' && value.ptr[plain] < 0x7f && value.ptr[plain] != '"' &&
               value.ptr[plain] != '\\')
            plain++;
        error = buffer_append(labels, bytes_make(value.ptr, plain));
        value = bytes_skip(value, plain);
        if (value.len == 0 || error)
            break;
        char hidden[5];
        size_t used;
        error = buffer_append(labels, escape(value, hidden, &used));
        value = bytes_skip(value, used);
    }
    return error;
}

// Of the character at the front, which is not plain.
static struct bytes escape(struct bytes value, char hidden[5], size_t *ret_used)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char first = (unsigned char)value.ptr[0];
    size_t len = utf8_len(value);
    *ret_used = 1;
    switch (first) {
    case '"': return BYTES("\\\"");
    case '\\': return BYTES("\\\\");
    case '\n': return BYTES("\\n");
    default: break;
    }
    if (len > 1 && !bytes_equal(bytes_make(value.ptr, len), BYTES("\xef\xbf\xbd"))) {
        *ret_used = len;
        return bytes_make(value.ptr, len);
    }
    memcpy(hidden, "\xef\xbf\xbd", 3);
    hidden[3] = digits[first >> 4];
    hidden[4] = digits[first & 15];
    return bytes_make(hidden, 5);
}
