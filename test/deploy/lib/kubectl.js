// SPDX-License-Identifier: Apache-2.0
// deploy/kubernetes as kubectl renders it, with the two programs that script/deploy-tools has fetched.
'use strict'

const { execFileSync } = require('child_process')
const fs = require('fs')
const path = require('path')
const yaml = require('yaml')

const ROOT = path.join(__dirname, '../../..')
const FOLDER = path.join(ROOT, 'deploy/kubernetes')
const TOOLS = process.env.DEPLOY_TOOLS || path.join(ROOT, 'build-debug/deploy-tools')
const OLD = path.join(TOOLS, 'kubectl-old')
const NEW = path.join(TOOLS, 'kubectl-new')

/** The folders with a kustomization. */
function overlays () {
  return fs.readdirSync(FOLDER).filter((name) => fs.existsSync(path.join(FOLDER, name, 'kustomization.yaml'))).sort()
}

/** What `kubectl kustomize` prints. */
function kustomize (overlay, program = NEW) {
  return execFileSync(program, ['kustomize', path.join(FOLDER, overlay)], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

/** The objects of an overlay. */
function render (overlay) {
  return yaml.parseAllDocuments(kustomize(overlay)).map((document) => document.toJS())
}

/** The object of that kind (and name), of which there must be one. */
function pick (objects, kind, name) {
  const found = objects.filter((object) => object.kind === kind && (name === undefined || object.metadata.name === name))
  if (found.length !== 1) throw new Error(`${found.length} of ${kind} ${name || ''}`)
  return found[0]
}

/** Such as v1.20.2. */
function version (program) {
  return JSON.parse(execFileSync(program, ['version', '--client', '-o', 'json'], { encoding: 'utf8' })).clientVersion.gitVersion
}

module.exports = { ROOT, FOLDER, OLD, NEW, overlays, kustomize, render, pick, version }
