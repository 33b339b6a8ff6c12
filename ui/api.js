// SPDX-License-Identifier: Apache-2.0
// Requests to the admin API over HTTP (docs/admin-api.md), and the credentials for them, which this tab keeps and nothing else.

const KEY = 'weir-credentials'

/** An answer that is an error: `code` and `status` are the API's; status 0: no answer at all. */
export class ApiError extends Error {
  constructor (code, status, message) {
    super(message)
    this.code = code
    this.status = status
  }
}

export const credentials = {
  get: () => sessionStorage.getItem(KEY),
  set: (user, password) => sessionStorage.setItem(KEY, btoa(String.fromCharCode(...new TextEncoder().encode(`${user}:${password}`)))),
  clear: () => sessionStorage.removeItem(KEY),
  user () {
    const stored = sessionStorage.getItem(KEY)
    return stored ? new TextDecoder().decode(Uint8Array.from(atob(stored), (c) => c.charCodeAt(0))).split(':')[0] : ''
  }
}

/** ask('GROUP.LIST', { channel }) resolves with the answer, or rejects with an ApiError. */
export async function ask (request, body = {}) {
  const headers = { 'Content-Type': 'application/json', 'Weir-Request': '1' }
  if (credentials.get()) headers.Authorization = `Basic ${credentials.get()}`
  let response, answer
  try {
    response = await fetch(`../api/v1/${request.toLowerCase().replace('.', '/')}`, {
      method: 'POST', headers, body: JSON.stringify(body), credentials: 'omit', cache: 'no-store', signal: AbortSignal.timeout(30000)
    })
  } catch (error) {
    throw new ApiError('unreachable', 0, 'the server does not answer')
  }
  try {
    answer = await response.json()
  } catch (error) {
    throw new ApiError('unreachable', response.status, `the server answers with ${response.status}`)
  }
  if (answer.error) throw new ApiError(answer.error.code, answer.error.status, answer.error.message)
  return answer
}

/** All pages of a list, up to `most` entries. `more` says that there are others. */
export async function askAll (request, list, body = {}, most = 5000) {
  const all = []
  let cursor = {}
  for (;;) {
    const page = await ask(request, { limit: Math.min(1000, most - all.length), ...body, ...cursor })
    all.push(...page[list])
    const next = page.next !== undefined ? { after: page.next } : page.next_sequence !== undefined ? { from_sequence: page.next_sequence } : null
    if (!next || all.length >= most) return { all, more: Boolean(next), total: page.total }
    cursor = next
  }
}
