// SPDX-License-Identifier: Apache-2.0
#include "cmd/client_options.h"

#include <stdio.h>

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
