// SPDX-License-Identifier: Apache-2.0
#include "cmd/client_options.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/number.h"
#include "codec/duration.h"

bool client_options_take(struct client_options *options, int option, const char *value)
{
    struct client_tls *tls = &options->tls;
    switch (option) {
    case CLIENT_OPTION_SERVER: options->server = value; return true;
    case CLIENT_OPTION_USER: options->user = value; return true;
    case CLIENT_OPTION_PASSWORD: options->password = value; return true;
    case CLIENT_OPTION_TOKEN: options->token = value; return true;
    case CLIENT_OPTION_NKEY: options->nkey_file = value; return true;
    case CLIENT_OPTION_TLS: break;
    case CLIENT_OPTION_CA: tls->ca_file = value; break;
    case CLIENT_OPTION_CERT: tls->cert_file = value; break;
    case CLIENT_OPTION_KEY: tls->key_file = value; break;
    case CLIENT_OPTION_SKIP: tls->skip_verify = true; break;
    case CLIENT_OPTION_FIRST: options->tls_first = true; break;
    default: return false;
    }
    options->wants_tls = true; // whoever says how wants it
    return true;
}

int client_options_check(const struct client_options *options, const char *command)
{
    const char *wrong = NULL;
    if (!options->tls.cert_file != !options->tls.key_file)
        wrong = "--tlscert and --tlskey go together";
    else if (options->tls.ca_file && options->tls.skip_verify)
        wrong = "--tlsskip looks at no certificate, so --tlscacert has no effect with it";
    else if (!options->user != !options->password)
        wrong = "--user and --password go together; one word alone is a --token";
    else if ((options->user != NULL) + (options->token != NULL) + (options->nkey_file != NULL) > 1)
        wrong = "one of --user, --token and --nkey is enough";
    if (!wrong)
        return 0;
    fprintf(stderr, "weir %s: %s\n", command, wrong);
    return 2;
}

int client_options_duration(const char *command, const char *name, const char *text, uint64_t max_ns, uint64_t *ret_ns)
{
    char max[DURATION_TEXT_SIZE];
    if (duration_parse(bytes_from_string(text), max_ns, ret_ns) == 0)
        return 0;
    duration_format(max_ns, max);
    fprintf(stderr, "weir %s: %s takes a duration as \"500ms\", \"30s\" or \"1h30m\", at most %s, not \"%s\"\n",
            command, name, max, text);
    return 2;
}

int client_options_number(const char *command, const char *name, const char *text, uint64_t min, uint64_t max,
                          uint64_t *ret_number)
{
    uint64_t number;
    if (number_parse_u64(bytes_from_string(text), max, &number) == 0 && number >= min) {
        *ret_number = number;
        return 0;
    }
    fprintf(stderr, "weir %s: %s takes a number from %" PRIu64 " to %" PRIu64 ", not \"%s\"\n", command, name, min, max,
            text);
    return 2;
}
