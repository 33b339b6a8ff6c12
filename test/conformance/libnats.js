// SPDX-License-Identifier: Apache-2.0
// Runs the clients in C, built from libnats_core.c and libnats_stan.c in BUILD, against a server, and prints their TAP as one.
'use strict'

const { spawn } = require('child_process')
const path = require('path')
const readline = require('readline')
const { Server, program, isPeer } = require('./lib/server')

const build = process.env.BUILD || path.dirname(program)

/** Prints a program's TAP lines, numbered on; gives the number of failures. */
async function runProgram (name, server, numbering) {
  const child = spawn(path.join(build, 'test/conformance', name), [server.url], { stdio: ['ignore', 'pipe', 'inherit'] })
  let planned = -1
  let printed = 0
  let failed = 0
  const ended = new Promise((resolve, reject) => { child.once('close', (code, signal) => resolve(code === null ? signal : code)); child.once('error', reject) })
  for await (const line of readline.createInterface({ input: child.stdout })) {
    const result = /^(not ok|ok) \d+ - (.*)/.exec(line)
    const plan = /^1\.\.(\d+)$/.exec(line)
    if (result) {
      printed++
      failed += result[1] === 'not ok'
      console.log(`${result[1]} ${++numbering.last} - ${result[2]}`)
    } else if (plan) planned = Number(plan[1])
    else console.log(line)
  }
  const code = await ended
  if (printed !== planned || (code !== 0 && failed === 0)) {
    failed++
    console.log(`not ok ${++numbering.last} - ${name} ended with ${code} after ${printed} of ${planned} tests`)
  }
  return failed
}

async function main () {
  const numbering = { last: 0 }
  let failed = 0
  const server = await Server.start()
  for (const name of isPeer ? ['libnats-core'] : ['libnats-core', 'libnats-stan']) failed += await runProgram(name, server, numbering)
  try {
    await server.stop()
    console.log(`ok ${++numbering.last} - the server ends in order`)
  } catch (error) {
    failed++
    console.log(`not ok ${++numbering.last} - the server ends in order\n    ${String(error.stack).split('\n').join('\n    ')}`)
  }
  console.log(`1..${numbering.last}`)
  process.exit(failed ? 1 : 0)
}

main().catch((error) => { console.log(`not ok 1 - the suite: ${error.stack}`); process.exit(1) })
