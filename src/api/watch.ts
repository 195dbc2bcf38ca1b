import { messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { apiVersionOf, type KindInfo, type KindName, type Resource } from '../model/registry.ts'
import type { WatchEvent } from '../store/contract.ts'
import { type Answer, type Call, type Shape, shapeOf } from './answer.ts'
import { badRequest, expired, failed } from './failure.ts'
import { Outlet } from './outlet.ts'
import type { Target } from './path.ts'
import { includeOf, isTrue, type Reading, selectorsOf, shapedOne, wholeNumber } from './read.ts'
import type { IncludeObject } from './table.ts'

/** As kube-apiserver's default minimum; a client whose watch ended starts the next where this one stopped. */
const defaultSeconds = 1800
const secondsMax = 7 * 86_400

/**
 * A stream of JSON lines `{type, object}`. From no `resourceVersion` (or 0): what is there now as ADDED, then every
 * change. From one: every change after it, or one ERROR with 410 when that far back is no longer kept.
 */
export async function watchAll(reading: Reading & { log: Log }, target: Target, call: Call): Promise<Answer> {
  const { store, clock, log } = reading
  const selectors = selectorsOf(target, call)
  const writer = writerOf(reading, target.info, call)
  const outlet = new Outlet(call.signal)
  const from = await startOf(reading, target, call, (event) => outlet.pushUncounted(writer.event(event)))
  if (isTrue(call.query, 'sendInitialEvents')) outlet.pushUncounted(writer.bookmark(from, true))

  let seen = from
  const stopWatch = store.watch(
    target.info.kind,
    { ...selectors, from },
    {
      event(event) {
        try {
          outlet.push(writer.event(event))
          seen = event.object.metadata.resourceVersion ?? seen
        } catch (error) {
          // Nobody above would catch it: it would end the whole factory, not this watch.
          log.error('a watch failed', { kind: target.info.kind, error: messageOf(error) })
          outlet.push(writer.broken(error))
          outlet.end()
        }
      },
      bookmark(resourceVersion) {
        seen = resourceVersion
        if (isTrue(call.query, 'allowWatchBookmarks')) outlet.push(writer.bookmark(seen, false))
      },
      ended(reason) {
        if (reason === 'expired') outlet.push(writer.expired(from))
        outlet.end()
      },
    },
  )
  const seconds = Math.min(wholeNumber(call.query, 'timeoutSeconds') || defaultSeconds, secondsMax)
  const stopTimer = clock.after(seconds * 1000, () => {
    if (isTrue(call.query, 'allowWatchBookmarks')) outlet.push(writer.bookmark(seen, false))
    outlet.end()
  })
  outlet.whenOver(() => {
    stopTimer()
    stopWatch()
  })
  return { kind: 'stream', type: 'application/json', chunks: outlet }
}

/** Where to watch from; what is there already goes to `each` first when the client named no revision. */
async function startOf(
  { store }: Reading,
  target: Target,
  call: Call,
  each: (event: WatchEvent<Resource>) => void,
): Promise<string> {
  const asked = call.query.get('resourceVersion') ?? ''
  const initial = isTrue(call.query, 'sendInitialEvents')
  if (initial && call.query.get('resourceVersionMatch') !== 'NotOlderThan') {
    throw badRequest('sendInitialEvents needs resourceVersionMatch=NotOlderThan')
  }
  if (!initial && asked !== '' && asked !== '0') return asked
  const listed = await store.list(target.info.kind, selectorsOf(target, call))
  for (const object of listed.items) each({ type: 'ADDED', object })
  return listed.resourceVersion
}

function writerOf({ clock }: Reading, info: KindInfo, call: Call) {
  const { kind } = info
  const shape = shapeOf(call.accept)
  const include = includeOf(call)
  return {
    event: ({ type, object }: WatchEvent<Resource>) =>
      `{"type":"${type}","object":${written(kind, object, shape, include, clock.now())}}\n`,
    bookmark: (resourceVersion: string, initialEnd: boolean) => {
      const annotations = initialEnd ? { 'k8s.io/initial-events-end': 'true' } : undefined
      const metadata = { resourceVersion, creationTimestamp: null, ...(annotations && { annotations }) }
      return line(
        'BOOKMARK',
        shape === 'table' ? { ...emptyTable, metadata } : { kind, apiVersion: apiVersionOf(info), metadata },
      )
    },
    broken: (error: unknown) =>
      line('ERROR', failed(500, 'InternalError', `Internal error occurred: ${messageOf(error)}`)),
    expired: (from: string) =>
      line('ERROR', expired(`too old resource version: ${from.slice(0, 50)}; list again and watch from there`).status),
  }
}

const emptyTable = { kind: 'Table', apiVersion: 'meta.k8s.io/v1', columnDefinitions: [], rows: [] }

function line(type: string, object: object): string {
  return `${JSON.stringify({ type, object })}\n`
}

/** Objects of the store are frozen and shared, so a hundred watchers need one writing of each. */
const texts = new WeakMap<Resource, string>()

function written(kind: KindName, object: Resource, shape: Shape, include: IncludeObject, nowMs: number): string {
  if (shape !== 'object') return JSON.stringify(shapedOne(kind, object, shape, include, nowMs))
  const known = texts.get(object)
  if (known !== undefined) return known
  const text = JSON.stringify(object)
  texts.set(object, text)
  return text
}
