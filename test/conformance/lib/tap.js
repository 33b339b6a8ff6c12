// SPDX-License-Identifier: Apache-2.0
// A small test runner that prints TAP. Tests of a file run at the same time, because most of them wait for a server; those that
// measure time run afterwards, one by one. It is our own, because Node's changes its output from version to version.
//
//   test('ST-B01 a channel begins with sequence 1', async (t) => { ... t.after(() => client.close()) })
//   run({ before, after })      when all are registered; the arguments of the program are words that names must contain
'use strict'

const AT_ONCE = 24
const LIMIT_S = 40 // a backstop: what a test waits for has its own limits

const tests = []

/** Registers a test; a rejected promise or an exception is a failure. `alone`: it measures time; `seconds`: it may take longer than most. */
function test (name, options, body) {
  if (typeof options === 'function') { body = options; options = {} }
  tests.push({ name, body, alone: Boolean(options.alone), seconds: options.seconds })
}

class Context {
  constructor () { this.cleanups = [] }

  /** Called when the test has ended, last registered first. */
  after (cleanup) { this.cleanups.push(cleanup) }
}

async function limited (body, seconds = LIMIT_S) {
  let timer
  const limit = new Promise((resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`not finished after ${seconds} s`)), seconds * 1000)
  })
  try { await Promise.race([body(), limit]) } finally { clearTimeout(timer) }
}

async function runOne (one) {
  const context = new Context()
  const begin = Date.now()
  let error
  try { await limited(async () => one.body(context), one.seconds) } catch (thrown) { error = thrown || new Error('rejected') }
  for (const cleanup of context.cleanups.reverse()) {
    try { await limited(async () => cleanup()) } catch (thrown) { error = error || thrown }
  }
  return { name: one.name, error, took: Date.now() - begin }
}

let printed = 0
let failed = 0
function print ({ name, error, took }) {
  printed++
  console.log(`${error ? 'not ok' : 'ok'} ${printed} - ${name}`)
  if (!error) return
  failed++
  for (const line of String(error.stack || error).split('\n')) console.log(`    ${line}`)
  console.log(`    after ${took} ms`)
}

async function runAll (list, atOnce) {
  const waiting = list.slice()
  const worker = async () => {
    for (let one = waiting.shift(); one; one = waiting.shift()) print(await runOne(one))
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}

/** Runs what was registered, prints the plan and ends the process. `before` and `after` are awaited around all tests. */
async function run ({ before, after, atOnce = AT_ONCE } = {}) {
  const words = process.argv.slice(2)
  const chosen = tests.filter((one) => words.every((word) => one.name.includes(word)))
  try {
    if (before) await before()
  } catch (error) {
    print({ name: 'the suite begins', error, took: 0 })
    process.exit(1)
  }
  try {
    await runAll(chosen.filter((one) => !one.alone), atOnce)
    await runAll(chosen.filter((one) => one.alone), 1)
  } catch (error) {
    print({ name: 'the suite', error, took: 0 })
  }
  if (after) print(await runOne({ name: 'the server ends in order', body: after }))
  console.log(`1..${printed}`)
  process.exit(failed ? 1 : 0)
}

module.exports = { test, run }
