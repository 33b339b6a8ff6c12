// SPDX-License-Identifier: Apache-2.0
// What a history of the fleet's chaos must show, and made-up histories with which the checks show that they can fail.
//
// A history: {
//   channels: [{ published, finished, stored }]
//     published: [{ data, begin, end, error, enoughMs }]   one publish: an error is allowed only if no server was up for as long as enoughMs
//                                                          at a stretch between begin and end
//     finished:  a set of what was worked on to its end, each before it was acknowledged
//     stored:    lists of payloads, one for each server
//   uptimes: [Uptime]                                      one for each server. One that is paused is not up: it answers nobody
//   calls: [{ name, stored, data }]                        of `weir enqueue`, which says how many it stored, not which
// }
'use strict'

const { now } = require('./chaos_common')

/** The times in which a server was up. */
class Uptime {
  constructor () { this.spans = [] }
  up () { this.spans.push([now(), Infinity]) }
  down () { this.spans[this.spans.length - 1][1] = Math.min(this.spans[this.spans.length - 1][1], now()) }
  /** The longest that it was up at a stretch between two moments. */
  longest (begin, end) { return Math.max(0, ...this.spans.map(([from, to]) => Math.min(to, end) - Math.max(from, begin))) }
}

/** What is wrong with a history: sentences. */
function check ({ channels, uptimes, calls }) {
  const wrong = []
  for (const { published, finished, stored } of channels) {
    for (const one of published) checkPublish(one, finished, uptimes, wrong)
    const known = new Set(published.map(({ data }) => data))
    for (const data of finished) if (!known.has(data)) wrong.push(`${data} was worked on and never published`)
    stored.forEach((list, index) => checkStored(list, index, wrong))
  }
  for (const { name, stored, data } of calls) {
    const count = data.filter((one) => channels.some(({ finished }) => finished.has(one))).length
    if (count < stored) wrong.push(`${name} says that ${stored} are stored, and ${count} were ever finished`)
  }
  return wrong
}

function checkPublish ({ data, begin, end, error, enoughMs }, finished, uptimes, wrong) {
  const longest = Math.max(...uptimes.map((uptime) => uptime.longest(begin, end)))
  if (!error && !finished.has(data)) wrong.push(`${data} was acknowledged and never finished`)
  if (error && longest > enoughMs) wrong.push(`${data} failed although a server was up for ${longest.toFixed()} ms: ${error}`)
}

function checkStored (list, index, wrong) {
  const seen = new Set()
  for (const data of list) {
    if (seen.has(data)) wrong.push(`server ${index} has ${data} twice`)
    seen.add(data)
  }
}

/** Prints TAP; ends the process. */
function selfTest () {
  const uptime = new Uptime()
  uptime.spans = [[0, 1000], [5000, 9000]]
  const publish = (more) => ({ data: 'a', begin: 0, end: 10, enoughMs: 3000, ...more })
  const fine = (more) => ({ published: [publish()], finished: new Set(['a']), stored: [['a'], []], ...more })
  const cases = [
    ['a clean history passes', {}, ''],
    ['a loss is seen', { finished: new Set() }, 'never finished'],
    ['a loss in the other channel is seen', { second: fine({ finished: new Set() }) }, 'never finished'],
    ['a job that nobody published is seen', { finished: new Set(['a', 'b']) }, 'never published'],
    ['a message that a server has twice is seen', { stored: [['a', 'a'], []] }, 'twice'],
    ['a message that two servers have passes', { stored: [['a'], ['a']] }, ''],
    ['a failure while a server was up is seen', { published: [publish({ begin: 4000, end: 9000, error: 'no' })] }, 'although'],
    ['a failure while none was up long enough passes', { published: [publish({ end: 6000, error: 'no' })] }, ''],
    ['a job that a failed call counted and nobody finished is seen', { calls: [{ name: 'call', stored: 2, data: ['a', 'b'] }] }, 'says that 2'],
    ['a job that a failed call did not count passes', { calls: [{ name: 'call', stored: 1, data: ['a', 'b'] }] }, '']
  ]
  let failed = 0
  cases.forEach(([name, { calls = [], second = fine(), ...more }, wanted], index) => {
    const wrong = check({ channels: [fine(more), second], uptimes: [uptime], calls }).join('; ')
    const right = wanted ? wrong.includes(wanted) : wrong === ''
    failed += !right
    console.log(`${right ? 'ok' : 'not ok'} ${index + 1} - ${name}${right ? '' : `: ${wrong}`}`)
  })
  process.exit(failed ? 1 : 0)
}

module.exports = { Uptime, check, selfTest }
