import { kubeconfigFor } from '../../api/kubeconfig.ts'
import { connect } from '../connect.ts'
import type { Global } from '../global.ts'

export async function kubeconfig(global: Global): Promise<void> {
  const { url, token, namespace, trust } = await connect(global)
  process.stdout.write(kubeconfigFor({ server: url, token, namespace, trust }))
}
