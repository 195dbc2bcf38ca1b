"""Data-parallel PyTorch: plain torchrun variables, checkpoints by convention, nothing else of millwright.

On the accelerator that the worker was given (CUDA shows it no others) under NCCL, else on the CPU under gloo.
"""

import json
import os
import time

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

STEPS = int(os.environ.get("STEPS", "60"))
EVERY = int(os.environ.get("CHECKPOINT_EVERY", "10"))


def main() -> None:
    has_gpu = torch.cuda.is_available()
    device = torch.device("cuda", 0) if has_gpu else torch.device("cpu")
    if has_gpu:
        torch.cuda.set_device(device)
    # MASTER_ADDR, MASTER_PORT, RANK and WORLD_SIZE come from the environment
    dist.init_process_group("nccl" if has_gpu else "gloo")
    rank = dist.get_rank()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    net = torch.nn.Sequential(torch.nn.Linear(16, 64), torch.nn.Tanh(), torch.nn.Linear(64, 1)).to(device)
    model = DistributedDataParallel(net)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    first = restore(net, optimizer, device) + 1
    target = torch.linspace(-1, 1, 16, device=device)
    for step in range(first, STEPS + 1):
        started = time.time()
        torch.manual_seed(step * 1000 + rank)
        x = torch.randn(32, 16).to(device)
        loss = ((model(x).squeeze(1) - torch.sin(x @ target)) ** 2).mean()
        if has_gpu:
            torch.cuda.synchronize()
        busy = time.time() - started  # backward waits for the others
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        time.sleep(float(os.environ.get("STEP_DELAY", "0")))
        seconds = time.time() - started
        told = {"samples": 32 * dist.get_world_size(), "seconds": seconds, "busySeconds": busy}
        progress(step=step, steps=STEPS, loss=loss.item(), **told)
        if rank == 0 and step % EVERY == 0:
            save(step, net, optimizer)
    if rank == 0:
        print(f"done: {dist.get_world_size()} workers on {device.type}, step {STEPS}, loss {loss.item():.4f}", flush=True)
    dist.destroy_process_group()


def save(step: int, net, optimizer) -> None:
    """Written aside and renamed into place: a folder called step-N is always whole."""
    folder = os.environ.get("MILLWRIGHT_CHECKPOINT_DIR")
    if not folder:
        return
    aside = os.path.join(folder, f"step-{step}.tmp")
    os.makedirs(aside, exist_ok=True)
    torch.save({"step": step, "net": net.state_dict(), "optimizer": optimizer.state_dict()}, os.path.join(aside, "state.pt"))
    os.rename(aside, os.path.join(folder, f"step-{step}"))


def restore(net, optimizer, device) -> int:
    folder = os.environ.get("MILLWRIGHT_CHECKPOINT_DIR")
    if not folder or not os.path.isdir(folder):
        return 0
    steps = [int(name[5:]) for name in os.listdir(folder) if name.startswith("step-") and name[5:].isdigit()]
    if not steps:
        return 0
    state = torch.load(os.path.join(folder, f"step-{max(steps)}", "state.pt"), map_location=device)
    net.load_state_dict(state["net"])
    optimizer.load_state_dict(state["optimizer"])
    print(f"resumed from step {state['step']}", flush=True)
    return state["step"]


def progress(**line) -> None:
    path = os.environ.get("MILLWRIGHT_PROGRESS")
    if path:
        with open(path, "a") as file:
            file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
