// SPDX-License-Identifier: Apache-2.0
// Objects against the API's schemas, those of Kubernetes, KEDA and the Prometheus operator. The schemas let fields pass that they do not
// know, which an API server drops or refuses; they are found by watching which fields the compiled schemas ask for.
'use strict'

const PACKAGES = {
  'keda.sh': '@kubernetes-models/keda/keda.sh',
  'monitoring.coreos.com': '@kubernetes-models/prometheus-operator/monitoring.coreos.com'
}

/** The class for an object's apiVersion and kind; throws if there is none. */
function modelOf ({ apiVersion, kind }) {
  const [group, version] = apiVersion.includes('/') ? apiVersion.split('/') : ['', apiVersion]
  const folder = PACKAGES[group] || (group ? `kubernetes-models/${group}` : 'kubernetes-models')
  const model = require(`${folder}/${version}/${kind}`)[kind]
  if (!model) throw new Error(`no schema of ${apiVersion} ${kind}`)
  return model
}

/** `value` behind proxies that note into `asked`, by path, which fields were looked for. */
function watched (value, asked, path = '') {
  if (value === null || typeof value !== 'object') return value
  return new Proxy(value, {
    get (target, key) {
      if (typeof key === 'symbol') return target[key]
      if (!asked.has(path)) asked.set(path, new Set())
      asked.get(path).add(key)
      return watched(target[key], asked, `${path}/${key}`)
    }
  })
}

/** Paths of fields that a schema with named fields did not ask for. */
function unknownFields (value, asked, path = '') {
  if (value === null || typeof value !== 'object') return []
  const known = asked.get(path)
  const unknown = []
  for (const key of Object.keys(value)) {
    const at = `${path}/${key}`
    if (!known) continue // free in form: quantities, a formula's values
    if (!known.has(key)) unknown.push(at)
    else unknown.push(...unknownFields(value[key], asked, at))
  }
  return unknown
}

/** What is wrong with an object, as an array of strings. */
function faults (object) {
  const asked = new Map()
  const found = []
  try {
    modelOf(object).prototype.validate.call(watched(object, asked)) // not of an instance: that is a copy
  } catch (error) {
    found.push(error.message)
  }
  found.push(...unknownFields(object, asked).map((at) => `${at}: no such field`))
  return found
}

module.exports = { faults }
