import { conditionOf } from '../../model/conditions.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import { annotation, outOfService } from '../../model/names.ts'
import { connect } from '../connect.ts'
import { Exit, exit } from '../exit.ts'
import type { Global } from '../global.ts'
import { shortList } from '../output.ts'

/** A node takes no new work; with `gone`, what ran there is given up as well. */
export async function cordon(name: string, { gone = false }: { gone?: boolean }, global: Global): Promise<void> {
  const { client } = await connect(global)
  const node = await found(client, name)
  const { metadata, spec, status } = node
  const ref = { name: metadata.name }
  const isHeard = conditionOf(status?.conditions, 'Ready')?.status !== 'Unknown'
  if (gone && isHeard)
    throw new Exit(
      exit.failed,
      `node ${ref.name} is heard of, so what runs there can be told to stop; only a silent node is given up. Without --gone it takes no new work.`,
    )
  const others = spec?.taints?.filter(({ key }) => key !== outOfService) ?? []
  const taints = [...others, { key: outOfService, value: 'nodeshutdown', effect: 'NoExecute' }]
  await client.patch('Node', ref, { spec: { unschedulable: true, ...(gone ? { taints } : {}) } })
  const runs = gone ? 'what ran there is given up' : 'what runs there goes on'
  console.log(`node ${ref.name} takes no new work, ${runs}; \`millwright uncordon ${ref.name}\` opens it again`)
}

/** It takes work again, whoever closed it. */
export async function uncordon(name: string, global: Global): Promise<void> {
  const { client } = await connect(global)
  const { metadata, spec } = await found(client, name)
  const taints = spec?.taints?.filter(({ key }) => key !== outOfService)
  await client.patch(
    'Node',
    { name: metadata.name },
    {
      metadata: { annotations: { [annotation.cordonedBecause]: null } },
      spec: { unschedulable: null, ...(taints === undefined ? {} : { taints }) },
    },
  )
  console.log(`node ${metadata.name} takes work again`)
}

async function found(client: Awaited<ReturnType<typeof connect>>['client'], word: string): Promise<Node> {
  const name = word.replace(/^.*\//, '')
  const node = await client.get('Node', { name })
  if (node !== undefined) return node
  const names = (await client.list('Node')).items.map(({ metadata }) => metadata.name)
  throw new Exit(
    exit.notFound,
    `there is no node "${name}"; there ${names.length === 1 ? 'is' : 'are'} ${shortList(names)}.`,
  )
}
