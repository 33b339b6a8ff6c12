// SPDX-License-Identifier: Apache-2.0
#include "base/similar.h"

#define SIMILAR_NAME_MAX 40

unsigned similar_distance(struct bytes a, struct bytes b)
{
    unsigned row[SIMILAR_NAME_MAX + 1];
    if (a.len > SIMILAR_NAME_MAX)
        a.len = SIMILAR_NAME_MAX;
    if (b.len > SIMILAR_NAME_MAX)
        b.len = SIMILAR_NAME_MAX;
    for (unsigned j = 0; j <= b.len; j++)
        row[j] = j;
    for (unsigned i = 1; i <= a.len; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= b.len; j++) {
            unsigned replaced = diagonal + (a.ptr[i - 1] != b.ptr[j - 1]);
            unsigned shifted = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = replaced < shifted ? replaced : shifted;
        }
    }
    return row[b.len];
}

bool similar_is_nearer(struct bytes name, struct bytes known, unsigned *distance)
{
    unsigned most = name.len > 6 ? 3 : name.len > 3 ? 2 : 1; // farther ones are no help
    unsigned far = similar_distance(name, known);
    if (far > most || far >= known.len || far >= *distance)
        return false;
    *distance = far;
    return true;
}
