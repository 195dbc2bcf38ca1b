import { hasEnded } from '../control/gangs.ts'
import type { Twin } from './twin.ts'

/**
 * What nobody wants any more and its agent should have ended, on nodes whose agents are heard: each in words of its own, for
 * an agent that starts anew does not know what the one before had done.
 */
export async function unwantedOn(twin: Twin): Promise<string[]> {
  const pods = (await twin.store.list('Pod')).items
  const wanted = new Set(pods.flatMap((pod) => (hasEnded(pod) ? [] : [pod.metadata.uid])))
  const heard = [...twin.nodes].filter(([, { process }]) => process.isHeard)
  const running = heard.flatMap(([, { machine, process }]) =>
    [...machine.pods.values()].flatMap(({ uid, end, place }) =>
      end !== undefined || wanted.has(uid) ? [] : [`${place.name} runs under ${process.name}, and its pod has ended`],
    ),
  )
  const agents = new Map(heard.map(([node, { process }]) => [node, process.name]))
  const nowMs = twin.clock.now()
  const leaving = pods.flatMap(({ metadata: { name, deletionTimestamp, deletionGracePeriodSeconds = 0 }, spec }) => {
    const agent = agents.get(spec.nodeName ?? '')
    if (deletionTimestamp === undefined || agent === undefined) return []
    const isOverdue = nowMs > Date.parse(deletionTimestamp) + deletionGracePeriodSeconds * 1000
    return isOverdue ? [`pod ${name} was deleted, and is there under ${agent}`] : []
  })
  return [...running, ...leaving]
}

/** What machines keep in memory of jobs that have come to their end. */
export async function copiesOn(twin: Twin): Promise<string[]> {
  const gangs = (await twin.store.list('Gang')).items.filter(({ spec }) => !spec.suspend)
  const underWay = new Set(gangs.flatMap(({ metadata }) => (metadata.ownerReferences ?? []).map(({ uid }) => uid)))
  const kept = await Promise.all(
    [...twin.nodes].map(async ([node, { machine }]) => {
      const keys = machine.hasCopies ? await machine.copies.list('') : []
      const left = keys.find(({ key }) => !underWay.has(key.split('/')[2] ?? ''))
      return left === undefined ? [] : [`node ${node} keeps ${left.key} in its memory`]
    }),
  )
  return kept.flat()
}
