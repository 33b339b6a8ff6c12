// SPDX-License-Identifier: Apache-2.0
// Waiting for events, always with a limit: a test that waits longer than LIMIT_MS has failed.
'use strict'

const LIMIT_MS = 15000

/** The promise's value, or an error that says what did not come. */
async function within (promise, what, ms = LIMIT_MS) {
  let timer
  const limit = new Promise((resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing within ${ms} ms`)), ms)
  })
  try { return await Promise.race([promise, limit]) } finally { clearTimeout(timer) }
}

/** The first argument of an emitter's next event `name`; an event 'error' rejects, unless that is what is waited for. */
function event (emitter, name, ms = LIMIT_MS) {
  return within(new Promise((resolve, reject) => {
    emitter.once(name, resolve)
    if (name !== 'error') emitter.once('error', (error) => reject(error instanceof Error ? error : new Error(String(error))))
  }), `event ${name}`, ms)
}

/** Asks again and again until `condition` (may be async) is true. */
async function until (condition, what, ms = LIMIT_MS) {
  const end = Date.now() + ms
  for (;;) {
    if (await condition()) return
    if (Date.now() > end) throw new Error(`${what}: not so within ${ms} ms`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** What arrives, in order, for a reader that takes one at a time. */
class Queue {
  constructor (what = 'queue') {
    this.what = what
    this.items = []
    this.readers = []
  }

  push (item) {
    const reader = this.readers.shift()
    if (reader) reader(item)
    else this.items.push(item)
  }

  next (ms = LIMIT_MS) {
    if (this.items.length) return Promise.resolve(this.items.shift())
    let reader
    const promise = new Promise((resolve) => { reader = resolve; this.readers.push(reader) })
    return within(promise, this.what, ms).catch((error) => {
      this.readers = this.readers.filter((other) => other !== reader)
      throw error
    })
  }

  /** The next n. */
  async take (n, ms = LIMIT_MS) {
    const taken = []
    while (taken.length < n) taken.push(await this.next(ms))
    return taken
  }

  /** What has arrived and was not taken. */
  get length () { return this.items.length }
}

let counter = 0
/** A name that no other test uses. */
function unique (prefix) {
  return `${prefix}-${process.pid}-${++counter}`
}

module.exports = { within, event, until, Queue, unique }
