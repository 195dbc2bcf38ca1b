import { kubeconfigFor } from '../../api/kubeconfig.ts'
import { connect } from '../connect.ts'
import type { Global } from '../global.ts'

export function kubeconfig(global: Global): void {
  const { url, token } = connect(global)
  process.stdout.write(kubeconfigFor({ server: url, token, namespace: global.namespace }))
}
