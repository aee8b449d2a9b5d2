"""The parts of the alarms page: the list, one alarm with its evidence, what is out of service, the figures of ISA-18.2."""
