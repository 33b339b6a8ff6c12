// SPDX-License-Identifier: Apache-2.0
// The checker of the chaos test on made-up journals: a history in which all is well, and one small change for each thing that it
// must see.
'use strict'

const { check } = require('./chaos_checker')

/** Two lives of the server; 1 finished and settled in the first, 2 cut off by the kill, 3 by a worker's death in the second. */
function goodHistory () {
  return {
    graceMs: 1000,
    runs: [{ id: 'A', killed: 100 }, { id: 'B', killed: Infinity }],
    stored: { jobs: [1, 2, 3].map((seq) => ({ seq, id: `p-${seq}`, timestamp: seq })) },
    producers: [{
      name: 'p',
      channel: 'jobs',
      retries: false,
      lines: [
        { e: 'send', id: 'p-1', n: 0, t: 1 }, { e: 'answer', id: 'p-1', n: 0, run: 'A', t: 2 },
        { e: 'send', id: 'p-2', n: 0, t: 20 }, { e: 'answer', id: 'p-2', n: 0, run: 'A', t: 22 },
        { e: 'send', id: 'p-x', n: 0, t: 90 },
        { e: 'send', id: 'p-3', n: 2, t: 110 }, { e: 'answer', id: 'p-3', n: 2, run: 'B', t: 112 }
      ]
    }],
    workers: [
      worker('w1', undefined, [
        { e: 'job', seq: 1, id: 'p-1', again: false, n: 0, run: 'A', t: 3 }, { e: 'done', acks: [[1, 8]], n: 0, run: 'A', t: 10 },
        { e: 'job', seq: 2, id: 'p-2', again: false, n: 0, run: 'A', t: 23 },
        { e: 'job', seq: 2, id: 'p-2', again: true, n: 2, run: 'B', t: 120 }, { e: 'done', acks: [[2, 128]], n: 2, run: 'B', t: 130 },
        { e: 'job', seq: 3, id: 'p-3', again: true, n: 2, run: 'B', t: 1210 }, { e: 'done', acks: [[3, 1218]], n: 2, run: 'B', t: 1220 }
      ]),
      worker('w2', 200, [{ e: 'job', seq: 3, id: 'p-3', again: false, n: 0, run: 'B', t: 113 }])
    ]
  }
}

function worker (name, ended, lines) {
  return { name, channel: 'jobs', group: 'g', ackWaitMs: 60000, ended, lines }
}

const CASES = {
  'an acknowledged message that is lost': [/acknowledged and is lost/, (h) => { h.stored.jobs.pop() }],
  'a gap in the sequences': [/sequence 4 at place 3/, (h) => { h.stored.jobs[2].seq = 4 }],
  'a damaged message': [/damaged/, (h) => { h.stored.jobs[1].id = null }],
  'a message stored twice': [/stored twice/, (h) => { h.stored.jobs[2].id = 'p-2' }],
  'a message that nobody sent': [/never sent/, (h) => { h.stored.jobs.push({ seq: 4, id: 'p-9', timestamp: 9 }) }],
  'a publisher\'s messages out of order': [/sent before/, (h) => { h.stored.jobs[0].id = 'p-2'; h.stored.jobs[1].id = 'p-1' }],
  'a refused publish': [/was refused/, (h) => { h.producers[0].lines[1].error = 'no' }],
  'a publish that nobody heard': [/nobody listened/, (h) => { h.producers[0].lines.push({ e: 'nobody', id: 'p-3' }) }],
  'first deliveries out of order': [/first delivery of 1 after that of 2/, (h) => {
    const lines = h.workers[0].lines
    ;[lines[0], lines[2]] = [lines[2], lines[0]]
  }],
  'a job that is never delivered': [/never delivered/, (h) => { h.workers[1].lines = []; h.workers[0].lines.splice(5) }],
  'a job that is never finished': [/never finished/, (h) => { h.workers[0].lines.pop() }],
  'a job that a killed worker did not finish': [/never finished/, (h) => {
    h.workers[0].lines.splice(5)
    h.workers[1].lines.push({ e: 'ack', seq: 2, t: 150 })
  }],
  'the payload of another job': [/instead of/, (h) => { h.workers[0].lines[0].id = 'p-2' }],
  'a settled job delivered by the next server': [/acknowledged and synced/, (h) => {
    h.workers[0].lines.push({ e: 'job', seq: 1, id: 'p-1', again: true, n: 2, run: 'B', t: 120 })
  }],
  'a finished job delivered again': [/by the same server/, (h) => {
    h.workers[0].lines.push({ e: 'job', seq: 3, id: 'p-3', again: true, n: 2, run: 'B', t: 70000 })
  }],
  'a second delivery while the first is worked on': [/while the first was alive/, (h) => { h.workers[1].ended = undefined }],
  'a second delivery before the grace has passed': [/ms after the first was killed/, (h) => { h.workers[0].lines[5].t = 900 }],
  'a second delivery that looks like a first': [/does not say so/, (h) => { h.workers[0].lines[5].again = false }]
}

/** Prints TAP; ends the process. */
function selfTest () {
  let number = 1
  let failed = check(goodHistory()).length
  console.log(`${failed ? 'not ok' : 'ok'} 1 - the checker has nothing against a history in which all is well`)
  for (const line of check(goodHistory())) console.log(`    ${line}`)
  for (const [name, [pattern, change]] of Object.entries(CASES)) {
    const history = goodHistory()
    change(history)
    const complaints = check(history)
    const seen = complaints.some((line) => pattern.test(line))
    if (!seen) failed++
    console.log(`${seen ? 'ok' : 'not ok'} ${++number} - the checker sees ${name}`)
    if (!seen) for (const line of complaints) console.log(`    ${line}`)
  }
  process.exit(failed ? 1 : 0)
}

module.exports = { selfTest }
