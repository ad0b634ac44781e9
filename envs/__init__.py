"""The curriculum as a Gymnasium environment. `gymnasium.make("envs:RespCurriculum-v0")` imports this and finds it."""

from gymnasium.envs.registration import register, registry

ID = "RespCurriculum-v0"

# Importing twice, as a reload does, must not warn of an overridden id.
if ID not in registry:
    register(id=ID, entry_point="envs.curriculum:RespCurriculum")
