// SPDX-License-Identifier: Apache-2.0
#include "tls_files.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"

#define PATH_SIZE 128

static char directory[64]; // tidy: allow mutable

static const char script[] =
    "cd '%s' && exec >log 2>&1 && set -e\n"
    "authority() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -keyout $1.key -out "
    "$1.pem "
    "-subj \"/CN=$2\"; }\n"
    "sign() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $1.key -out $1.csr -subj \"$3\"\n"
    "  echo \"subjectAltName=$4\" >$1.ext\n"
    "  openssl x509 -req -in $1.csr -CA $2.pem -CAkey $2.key -CAcreateserial -extfile $1.ext -out $1.pem $5; }\n"
    "authority ca 'Test authority'; authority other-ca 'Other authority'\n"
    "sign server ca /CN=localhost DNS:localhost,IP:127.0.0.1 '-days 1'\n"
    "sign client ca /O=Weir/OU=test/CN=client email:client@example.com,DNS:worker.example.com,URI:urn:weir:client "
    "'-days 1'\n"
    "sign stranger other-ca /CN=stranger email:client@example.com '-days 1'\n"
    "sign expired ca /CN=expired DNS:expired '-days 0'\n"
    "openssl ec -in server.key -aes256 -passout pass:secret -out locked.key\n"
    "echo 'this is no certificate' >garbage.pem\n"
    "cat server.pem client.pem >both.pem\n";

int tls_files_make(void **state)
{
    (void)state;
    snprintf(directory, sizeof(directory), "/tmp/weir-tls-test-XXXXXX");
    must(mkdtemp(directory));
    char command[sizeof(script) + sizeof(directory)];
    snprintf(command, sizeof(command), script, directory);
    must(system(command) == 0);
    return 0;
}

int tls_files_remove(void **state)
{
    (void)state;
    char command[PATH_SIZE];
    snprintf(command, sizeof(command), "rm -rf '%s'", directory);
    must(system(command) == 0);
    return 0;
}

const char *tls_files_path(const char *name)
{
    static char paths[6][PATH_SIZE]; // tidy: allow mutable
    static unsigned next;            // tidy: allow mutable
    char *path = paths[next++ % 6];
    snprintf(path, PATH_SIZE, "%s/%s", directory, name);
    return path;
}
