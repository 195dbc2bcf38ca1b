import type { Client } from '../../api/client.ts'
import type { Model } from '../../model/kinds/model.ts'
import { label } from '../../model/names.ts'
import { factoryDir } from '../../runtime/paths.ts'
import { pullModel } from '../../runtime/pull.ts'
import { connect } from '../connect.ts'
import { Exit, exit } from '../exit.ts'
import type { Global } from '../global.ts'

export async function pull(name: string, folder: string, global: Global): Promise<void> {
  const { client, namespace } = await connect(global)
  const model = await resolveModel(client, namespace, name)
  for (const path of await pullModel(factoryDir(global.dir), model, folder)) console.log(path)
}

/** The version called `name`, or the newest version of the model called `name`. */
async function resolveModel(client: Client, namespace: string, name: string): Promise<Model> {
  const exact = await client.get('Model', { namespace, name })
  if (exact !== undefined) return exact
  const versions = (await client.list('Model', { namespace, labels: `${label.model}=${name}` })).items
  const newest = [...versions].sort((a, b) => b.spec.version - a.spec.version)[0]
  if (newest === undefined) {
    throw new Exit(
      exit.notFound,
      `there is no model "${name}" in namespace ${namespace}; \`millwright get models\` lists them.`,
    )
  }
  return newest
}
